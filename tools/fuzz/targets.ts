/**
 * Everything that is fuzzed. A new kind of file is a file here and a line below.
 *
 * @module
 */
import { adapters } from "./adapters.ts";
import { calibration } from "./calibration.ts";
import { diskLog } from "./disk_log.ts";
import { gguf } from "./gguf.ts";
import { safetensors } from "./safetensors.ts";
import { session } from "./session.ts";
import { splitGguf } from "./split_gguf.ts";
import type { Target } from "./target.ts";

/** All targets. */
export const TARGETS: readonly Target[] = [
  gguf,
  splitGguf,
  safetensors,
  adapters,
  session,
  calibration,
  diskLog,
];
