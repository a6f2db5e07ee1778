/**
 * In what a model's layers differ, from a config.json: windows, and rotation left out.
 *
 * @module
 */
import { ARCHITECTURES } from "../arch/mod.ts";
import type { Config } from "./config.ts";
import type { Family } from "./families.ts";

/** Which layers see a window; undefined where none does. */
export function windowsOf(
  config: Config,
  family: Family,
  layers: number,
): readonly boolean[] | undefined {
  const window = config.get("sliding_window") ?? 0;
  const wanted = config.flag("use_sliding_window") ||
    family.windows !== "flagged" &&
      config.get("use_sliding_window") === undefined;
  const from = config.wholeIfSet("max_window_layers") ?? 0;
  const older = config.countIfSet("_sliding_window_pattern");
  const period = config.countIfSet("sliding_window_pattern") ?? older ??
    family.period ?? layers + 1;
  const usual = Array.from({ length: layers }, (_, i) => {
    switch (family.windows) {
      case "none":
        return false;
      case "all":
        return true;
      case "flagged":
        return i >= from;
      case "pattern":
        return (i + 1) % period !== 0;
    }
  });
  const off = window === 0 || !wanted;
  if (family.windows === "none" && !off) {
    config.refuse("sliding_window", "none: not supported for such models");
  }
  const windows = layerTypes(config, family, off ? [] : usual, layers);
  if (!windows.includes(true)) return undefined;
  if (ARCHITECTURES.get(family.architecture)?.windows === undefined) {
    config.refuse("sliding_window", "none: not supported for such models");
  }
  return windows;
}

/** What "layer_types" says, which only some models may choose; else what is usual. */
function layerTypes(
  config: Config,
  { windows: kind }: Family,
  usual: readonly boolean[],
  layers: number,
): readonly boolean[] {
  const key = "layer_types", types = config.get(key);
  if (types === undefined) return usual;
  const full = "full_attention", sliding = "sliding_attention";
  if (
    !Array.isArray(types) || types.length !== layers ||
    !types.every((type) => type === full || type === sliding)
  ) {
    return config.refuse(
      key,
      `"${full}" or "${sliding}" for each of ${layers}`,
    );
  }
  const listed = types.map((type: unknown) => type === sliding);
  const free = kind !== "all" && kind !== "none" && usual.length > 0;
  if (!free && listed.some((on, i) => on !== (usual[i] ?? false))) {
    config.refuse(key, "what the other keys say of windows");
  }
  return listed;
}

/** Layers that turn nothing must be those that the record leaves out. */
export function checkStill(config: Config, arch: string, layers: number): void {
  const every = ARCHITECTURES.get(arch)?.stillEvery;
  if (every === undefined) return;
  config.only("no_rope_layer_interval", [every]);
  const key = "no_rope_layers", turns = config.get(key);
  if (turns === undefined) return;
  const wanted = Array.from({ length: layers }, (_, i) => (i + 1) % every && 1);
  if (JSON.stringify(turns) !== JSON.stringify(wanted)) {
    config.refuse(key, `${JSON.stringify(wanted)}, as trained`);
  }
}
