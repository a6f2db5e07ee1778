/**
 * Recorded arrivals and lengths of requests.
 *
 * | file | what it is |
 * |---|---|
 * | `az_code.csv` | Azure LLM inference trace, code, 2023; CC-BY 4.0 |
 * | `mc_synthetic.jsonl` | Mooncake's synthetic trace; Apache-2.0 |
 *
 * @module
 */
import { join } from "node:path";

/** One request of a trace. */
export interface Arrival {
  /** Milliseconds after the first one. */
  readonly at: number;
  /** Tokens of its prompt, 1 or more. */
  readonly prompt: number;
  /** Tokens it makes, 1 or more. */
  readonly make: number;
}

/** Names of the traces that can be read. */
export type TraceName = "az_code" | "mc_synthetic";

/** The traces, and what they are called in tables. */
export const TRACES: Readonly<Record<TraceName, string>> = {
  az_code: "az_code.csv",
  mc_synthetic: "mc_synthetic.jsonl",
};

/** Reads a trace from `folder`, in the order of arrival. */
export async function readTrace(
  folder: string,
  name: TraceName,
): Promise<Arrival[]> {
  const text = await Deno.readTextFile(join(folder, TRACES[name]));
  return name === "az_code" ? azureTrace(text) : mooncakeTrace(text);
}

/** Rows of `TIMESTAMP,ContextTokens,GeneratedTokens`. */
export function azureTrace(text: string): Arrival[] {
  const [head, ...rows] = text.trim().split(/\r?\n/);
  const wanted = "TIMESTAMP,ContextTokens,GeneratedTokens";
  if (head !== wanted) {
    throw new TypeError(
      `Cannot read a trace that begins with "${head}": "${wanted}" is wanted`,
    );
  }
  return inOrder(rows.map((row) => {
    const [time, prompt, make] = row.split(",");
    // Seven digits of a second are more than Date takes.
    const at = Date.parse(`${time!.slice(0, 23).replace(" ", "T")}Z`);
    return { at, prompt: Number(prompt), make: Number(make) };
  }));
}

/** Lines of JSON with `timestamp` in ms, `input_length` and `output_length`. */
export function mooncakeTrace(text: string): Arrival[] {
  return inOrder(
    text.trim().split(/\r?\n/).map((line) => {
      const row = JSON.parse(line) as Record<string, number>;
      return {
        at: row["timestamp"]!,
        prompt: row["input_length"]!,
        make: row["output_length"]!,
      };
    }),
  );
}

/** The same arrivals with lengths times `factor`, 1 at least. */
export function scaled(
  trace: readonly Arrival[],
  factor: number,
): Arrival[] {
  const length = (tokens: number): number =>
    Math.max(1, Math.round(tokens * factor));
  return trace.map(({ at, prompt, make }) => ({
    at,
    prompt: length(prompt),
    make: length(make),
  }));
}

/** Positions a request takes: the last token made is never computed. */
export function positions({ prompt, make }: Arrival): number {
  return prompt + make - 1;
}

function inOrder(rows: Arrival[]): Arrival[] {
  const bad = rows.find(({ at, prompt, make }) =>
    !(Number.isFinite(at) && prompt >= 1 && make >= 1)
  );
  if (bad !== undefined) {
    throw new TypeError(
      `Cannot read a trace with the row ${
        JSON.stringify(bad)
      }: a time and lengths from 1 are wanted`,
    );
  }
  const sorted = rows.toSorted((a, b) => a.at - b.at);
  const first = sorted[0]?.at ?? 0;
  return sorted.map((row) => ({ ...row, at: row.at - first }));
}
