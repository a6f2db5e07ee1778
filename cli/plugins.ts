/**
 * Memory strategies that the command line asks for.
 *
 * @module
 */
import {
  checkpointing,
  cpuOffload,
  diskOffload,
  pagedAttention,
  parseBytes,
  type Plugin,
  prefixCache,
  promptLookup,
  redisOffload,
  slidingWindow,
  weightOffload,
  type WeightSource,
} from "../mod.ts";
import { UsageError } from "./host.ts";

/** Most bytes on disk where none are said. */
const DISK_BYTES = "4GiB";

/** Most bytes of checkpoints. */
const CHECKPOINT_BYTES = 2 ** 30;

/** Options of the group "plugins", as they are read. */
export interface PluginOptions {
  readonly blockTokens?: number;
  readonly window?: number;
  readonly sinks?: number;
  readonly lookup?: boolean;
  readonly offload?: string;
  readonly checkpoint?: number;
  readonly disk?: string;
  readonly diskBytes?: string;
  readonly redis?: string;
  readonly weights?: WeightSource;
  readonly resident?: number;
  readonly experts?: number;
}

/**
 * The default plugins and those asked for; undefined where none are. Throws a
 * UsageError for values that a plugin refuses.
 */
export function pluginsOf(o: PluginOptions): readonly Plugin[] | undefined {
  if (Object.keys(o).length === 0) return undefined;
  const { blockTokens, window, sinks, offload } = o;
  const { checkpoint, weights, resident, experts } = o;
  if (sinks !== undefined && window === undefined) {
    throw new UsageError(
      'Cannot use "--sinks" alone: "--window" is wanted too',
    );
  }
  if (o.diskBytes !== undefined && o.disk === undefined) {
    throw new UsageError(
      'Cannot use "--disk-bytes" alone: "--disk" is wanted too',
    );
  }
  if (resident !== undefined && weights === undefined) {
    throw new UsageError(
      'Cannot use "--resident" alone: "--weights" is wanted too',
    );
  }
  if (experts !== undefined && weights === undefined) {
    throw new UsageError(
      'Cannot use "--experts" alone: "--weights" is wanted too',
    );
  }
  try {
    return [
      pagedAttention(blockTokens === undefined ? {} : { blockTokens }),
      prefixCache(),
      ...window === undefined
        ? []
        : [slidingWindow({ window, ...sinks === undefined ? {} : { sinks } })],
      ...o.lookup ? [promptLookup()] : [],
      ...offload === undefined
        ? []
        : [cpuOffload({ bytes: parseBytes(offload) })],
      ...checkpoint === undefined
        ? []
        : [checkpointing({ every: checkpoint, bytes: CHECKPOINT_BYTES })],
      ...o.disk === undefined ? [] : [
        diskOffload({
          folder: o.disk,
          bytes: parseBytes(o.diskBytes ?? DISK_BYTES),
        }),
      ],
      // Who names a server wants to hear that it is not there.
      ...o.redis === undefined
        ? []
        : [redisOffload({ url: o.redis, required: true })],
      ...weights === undefined ? [] : [
        weightOffload({
          from: weights,
          ...resident === undefined ? {} : { resident },
          ...experts === undefined ? {} : { experts },
        }),
      ],
    ];
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) {
      throw new UsageError(error.message);
    }
    throw error;
  }
}
