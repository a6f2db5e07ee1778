/**
 * Engines of a tiny model with adapters "a" and "b", of all matrices and of some.
 *
 * @module
 */
import { withFolder, writeModel } from "./sessions.ts";
import { writeGguf } from "../../models/testing/gguf_writer.ts";
import { ggufAdapter } from "../../models/testing/lora_writer.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import type { Engine } from "../engine.ts";
import { load } from "../load.ts";
import type { LoadOptions } from "../options.ts";
import { loraModel, loraModules } from "./lora_models.ts";

/** Loads engines of one model and its adapters. */
export type OpenLora = (options?: LoadOptions) => Promise<Engine>;

/** Paths of what was written. */
export interface LoraFiles {
  readonly folder: string;
  readonly model: string;
  readonly adapters: Readonly<Record<"a" | "b", string>>;
}

/** Writes model and adapters for as long as `use` runs. */
export async function withLora<T>(
  use: (open: OpenLora, files: LoraFiles) => Promise<T>,
): Promise<T> {
  return await withFolder(async (folder) => {
    const model = await writeModel(folder, loraModel("llama"));
    const adapters = { a: `${folder}/a.gguf`, b: `${folder}/b.gguf` };
    const all = loraModules(), some = all.filter((_, i) => i % 3 !== 0);
    await Deno.writeFile(adapters.a, writeGguf(ggufAdapter(all, 1)));
    await Deno.writeFile(adapters.b, writeGguf(ggufAdapter(some, 2)));
    const open: OpenLora = (options = {}) =>
      load(model, {
        threads: 2,
        check: true,
        chunk: 24,
        adapters,
        plugins: [pagedAttention({ blockTokens: 8 }), prefixCache()],
        ...options,
      });
    return await use(open, { folder, model, adapters });
  });
}
