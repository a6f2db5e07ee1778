/**
 * Random schemas and seeds, and whether what an engine answers is valid.
 *
 * @module
 */
import Ajv2020 from "npm:ajv@8.17.1/dist/2020.js";
import addFormats from "npm:ajv-formats@3.0.1";
import type { Engine } from "../engine.ts";
import { FormatError } from "../format/error.ts";
import { Constraint } from "../format/constraint.ts";
import { rulesOf } from "../format/rules.ts";
import type { Finish, GenerateOptions } from "../options.ts";
import { seeded } from "../random.ts";
import { type JsonSchema, RandomSchemas } from "./random_schema.ts";

/** How many answers ended how, and what was wrong with some. */
export interface Findings {
  valid: number;
  /** Schemas by which nothing is valid. */
  empty: number;
  readonly finishes: Record<Finish, number>;
  readonly wrong: string[];
}

interface Case {
  readonly schema: JsonSchema;
  readonly options: GenerateOptions;
}

/** Whether a value is valid, by a library. */
export function validator(schema: JsonSchema): (value: unknown) => boolean {
  const ajv = new Ajv2020.default({ strict: false });
  addFormats.default(ajv);
  return (value) => ajv.validate(schema, value) as boolean;
}

/** Answers `count` random schemas, many at a time, with texts of random lengths. */
export async function answerRandomly(
  engine: Engine,
  count: number,
  { seed = 1, longest = 150 }: { seed?: number; longest?: number } = {},
): Promise<Findings> {
  const findings: Findings = {
    valid: 0,
    empty: 0,
    finishes: { stop: 0, length: 0, deadline: 0 },
    wrong: [],
  };
  const schemas = new RandomSchemas(seed), random = seeded(seed + 1);
  let made = 0;
  const nextCase = (): Case | undefined => {
    while (made < count) {
      const schema = schemas.next();
      try {
        const format = { type: "schema", schema } as const;
        const rules = rulesOf(format, engine.tokenizer);
        const { rest } = rules.start;
        const maxTokens = rest + Math.floor(random() ** 2 * longest);
        new Constraint(rules, maxTokens);
        made++;
        const wild = { temperature: 1.5, topK: 0, topP: 1, minP: 0 };
        const options = {
          ...(made % 8 === 0 ? {} : made % 8 === 1 ? { temperature: 1 } : wild),
          ...(made % 5 === 0 ? { repetitionPenalty: 1.3 } : {}),
          tokens: [1 + made % 200, 65],
          format,
          maxTokens,
          seed: made,
        };
        return { schema, options };
      } catch (error) {
        const none = error instanceof FormatError &&
          error.message.includes("nothing is valid");
        if (!none) throw error;
        findings.empty++;
      }
    }
    return undefined;
  };
  const worker = async (): Promise<void> => {
    for (let c = nextCase(); c !== undefined; c = nextCase()) {
      let text = "";
      for await (const part of engine.generate(c.options)) {
        text += part.text;
        if (part.finish !== undefined) findings.finishes[part.finish]++;
      }
      if (isValid(c.schema, text)) findings.valid++;
      else {
        findings.wrong.push(
          `${JSON.stringify(c.schema)}\n${text}\n${c.options.maxTokens}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: 24 }, worker));
  return findings;
}

function isValid(schema: JsonSchema, text: string): boolean {
  try {
    return validator(schema)(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
