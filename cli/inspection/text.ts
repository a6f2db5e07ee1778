/**
 * What `quire inspect` says, for people.
 *
 * @module
 */
import { quote } from "../../models/gguf/quote.ts";
import { formatBytes, formatCount, table } from "../statistics.ts";
import type { Inspection } from "./inspect_file.ts";

type Row = readonly [string, string];

/** All of it. */
export function inspectionText(i: Inspection): string {
  return [
    table(
      [...about(i), ...layersOf(i), ...text(i), ["runs here", i.fit.says]],
      2,
    ),
    types(i),
    ...i.kv.length === 0 ? [] : [kv(i)],
    ...i.plan === null ? [] : [i.plan],
  ].join("\n\n") + "\n";
}

function about(i: Inspection): Row[] {
  const files = i.files === 1 ? "" : ` in ${i.files} files`;
  const active = i.activeParameters === i.parameters
    ? ""
    : `, ${formatCount(i.activeParameters)} for a token`;
  return [
    ["model", i.name === null ? i.model : `${i.model}, "${printable(i.name)}"`],
    ["file", `${i.path}, ${formatBytes(i.bytes)}${files}`],
    ["architecture", said(i.architecture)],
    ...i.words.length === 0 ? [] : [["", i.words.join(", ")] as const],
    ["licence", said(i.licence)],
    ["parameters", formatCount(i.parameters) + active],
  ];
}

function layersOf(i: Inspection): Row[] {
  const { experts, windows } = i;
  return [
    ["context", i.context === null ? "not said" : `${i.context} tokens`],
    [
      "layers",
      i.layers === null
        ? "not said"
        : `${i.layers} of ${i.hidden ?? "?"} values`,
    ],
    ...i.attention.map(({ layers, heads, kvHeads, headDim, window }) =>
      [
        "attention",
        `${layers} ${
          layers === 1 ? "layer" : "layers"
        }: ${heads} heads of ${headDim}, ${kvHeads} for K and V, ` +
        (window === null ? "seeing everything" : `a window of ${window}`),
      ] as const
    ),
    ...windows === null
      ? []
      : [["windows", `${windows.drawing}  ${windows.legend}`] as const],
    ...i.rope.map((rope) => ["positions", rope] as const),
    ...experts === null ? [] : [
      [
        "experts",
        `${experts.count}, of which ${experts.used} for each token`,
      ] as const,
    ],
    ...i.kvBytesPerToken === null
      ? []
      : [["K and V", `${formatBytes(i.kvBytesPerToken)} per token`] as const],
  ];
}

function text(i: Inspection): Row[] {
  const { chatTemplate: t } = i;
  const vocabulary = i.vocabulary === null
    ? "not said"
    : `${i.vocabulary} tokens`;
  return [
    [
      "vocabulary",
      `${vocabulary}, ${
        i.tokenizer === null ? "no tokenizer" : printable(i.tokenizer)
      }`,
    ],
    [
      "chat template",
      t === null ? "no" : `yes; system turns: ${t.system}, tools: ${t.tools}`,
    ],
  ];
}

function types({ types }: Inspection): string {
  const rows = types.map((
    { type, tensors, parameters, bytes, bits, memory },
  ) => [
    type,
    `${tensors}`,
    formatCount(parameters),
    formatBytes(bytes),
    bits.toFixed(2),
    memory === null ? "-" : memory.bits.toFixed(2),
    memory === null ? "cannot be read" : memory.note ?? "",
  ]);
  const head = ["weights", "tensors", "parameters", "bytes", "bits", "here"];
  return notes([[...head, ""], ...rows], 1);
}

function kv({ kv, windows }: Inspection): string {
  const beyond = windows === null ? [] : ["beyond windows"];
  const rows = kv.map((s) => {
    const bytes = (n: number | null): string =>
      n === null ? "-" : formatBytes(n);
    return [
      s.k === s.v ? s.k : `${s.k}/${s.v}`,
      bytes(s.bytesPerToken),
      ...windows === null ? [] : [bytes(s.bytesBeyondWindows)],
      s.note ?? "",
    ];
  });
  return notes([["K and V as", "per token", ...beyond, ""], ...rows], 1);
}

/** A table whose last column is set to the left. */
function notes(rows: readonly (readonly string[])[], right: number): string {
  const lines = table(rows.map((row) => row.slice(0, -1)), right).split("\n");
  return lines.map((line, i) => `${line}  ${rows[i]!.at(-1)}`.trimEnd()).join(
    "\n",
  );
}

function said(value: string | null): string {
  return value === null ? "not said" : printable(value);
}

/** A text of the file without its quotes, escaped and not too long. */
function printable(value: string): string {
  return quote(value).slice(1, -1);
}
