import assert from "node:assert/strict";
import { load } from "./load.ts";
import { tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

// The batch law through the engine, for every weight type: what a request gets does
// not depend on who runs beside it.

const models = tinyModels();
const ignore = models.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";

Deno.test({
  name: `load() gives each request the bits it has alone, in any company${why}`,
  ignore,
  fn: async (t) => {
    for (const name of models) {
      await t.step(name, async () => {
        const { fixture, file } = await openTinyModel(name);
        const ids = fixture.sequences.map(({ tokens }) => tokens);
        await using engine = await load(file.path, { threads: 2, chunk: 24 });
        const logits = (tokens: readonly number[]): Promise<Float32Array> =>
          engine.logits(tokens, { rows: "all" });
        const greedy = async (
          tokens: readonly number[],
        ): Promise<readonly number[]> => {
          const made: number[] = [];
          const options = { tokens, maxTokens: 16, ignoreEos: true };
          for await (const part of engine.generate(options)) {
            made.push(...part.tokens);
          }
          return made;
        };
        const alone: Float32Array[] = [];
        const spoken: (readonly number[])[] = [];
        for (const tokens of ids) {
          alone.push(await logits(tokens));
          spoken.push(await greedy(tokens));
        }
        const [together, told] = await Promise.all([
          Promise.all(ids.map(logits)),
          Promise.all(ids.map(greedy)),
        ]);
        together.forEach((got, i) => {
          const at = got.findIndex((x, k) => !Object.is(x, alone[i]![k]));
          assert.equal(at, -1, `sequence ${i}: another bit at ${at}`);
        });
        assert.deepEqual(told, spoken);
      });
    }
  },
});
