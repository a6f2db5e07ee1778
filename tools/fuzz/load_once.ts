/**
 * One token through a model that was accepted, as a user would load it: on the
 * CPU backend, from files.
 *
 * @module
 */
import { PlanError } from "../../core/plugin.ts";
import { load } from "../../engine/load.ts";
import type { ModelSpec } from "../../core/model.ts";
import { claim, type Sample } from "./target.ts";

/** Threads, context and budget of these loads. */
const CONTEXT = 16, BUDGET = 64 << 20;

/**
 * `name`: the file to load, "" for the folder. Throws where it cannot be loaded for another reason than one that is
 * documented.
 */
export async function loadOnce(
  spec: ModelSpec,
  sample: Sample,
  name: string = [...sample.keys()][0]!,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fuzz-" });
  try {
    for (const [name, bytes] of sample) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    await using engine = await load(`${folder}/${name}`, {
      threads: 1,
      context: Math.min(CONTEXT, spec.context),
      budget: BUDGET,
      check: true,
    });
    const logits = await engine.logits([spec.vocab - 1]);
    claim(logits.length === spec.vocab, `${logits.length} logits`);
  } catch (error) {
    // A plan that no kernel can carry out, or no room.
    if (error instanceof PlanError) return;
    if (error instanceof RangeError && /^Cannot load /.test(error.message)) {
      return;
    }
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
