/**
 * An opened model, whatever the format of its files: what all else reads.
 *
 * @module
 */
import type { RopeSpec, TensorInfo } from "../core/model.ts";
import type { PreTokenizerKind } from "./tokenizer/pre_tokenizers.ts";

/** A tensor of a type that is not read. */
export interface UnreadTensor {
  readonly name: string;
  /** What the type is called: `I8 (24)`, `9999`. */
  readonly type: string;
  /** Values in it. */
  readonly values: number;
  /** Up to the next tensor or the end of the file: padding counts too. */
  readonly bytes: number;
  readonly file: number;
}

/** A model's metadata and places, no weights. Holds no file open. */
export interface ModelFile {
  /** As the user gave it; what errors name. */
  readonly path: string;
  /** The files with weights in order; `TensorInfo.file` is an index into this. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** "GGUF 3", "safetensors". */
  readonly format: string;
  /**
   * Entries by GGUF's keys; numbers as numbers where they are exact, arrays as typed
   * arrays or `string[]`.
   */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Undefined where there is no tokenizer. */
  readonly vocabulary: ModelVocabulary | undefined;
  /** Every tensor by GGUF's name for it. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Tensors of types that are not read, where `listUnread` was asked for. */
  readonly unread?: readonly UnreadTensor[];
  /** How heads turn, where not as the architecture's record and the metadata say. */
  readonly rope?: RopeWords;
  /**
   * SHA-256 in hex over the headers, the file sizes, 64 pieces of 4 KiB of each
   * file's data and 1 KiB from the middle of each tensor: cheap, and different for
   * two trainings of one shape, be it in one tensor only.
   */
  readonly fingerprint: string;
}

/** Words about rotation that GGUF has no keys for; of layers that see everything. */
export interface RopeWords {
  /** Rows of q and k as they were trained: GGUF reorders those of some architectures. */
  readonly style: RopeSpec["style"];
  /** See `RopeSpec.factors`: values, one for each pair that turns. */
  readonly factors?: readonly number[];
  /** Factors of contexts beyond so many positions, instead of the others (LongRoPE). */
  readonly long?: {
    readonly beyond: number;
    readonly factors: readonly number[];
  };
  /** See `RopeSpec.magnitude`. */
  readonly magnitude?: number;
}

/** The vocabulary as the files store it; arrays of equal length. */
export interface ModelVocabulary {
  /** Texts by id, as stored: byte-level characters, "▁" for spaces. */
  readonly tokens: readonly string[];
  /** Merge priorities of a SentencePiece vocabulary. */
  readonly scores: Float32Array | undefined;
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly types: Int32Array | undefined;
  /** Pairs "left right" of a BPE vocabulary, best first. */
  readonly merges: readonly string[] | undefined;
  /** Tokens that end a text besides those that the metadata names. */
  readonly ends?: readonly number[];
  /** Special tokens that take spaces beside them along. */
  readonly strips?: StripWords;
  /** How text is cut, where "tokenizer.ggml.pre" does not name it. */
  readonly cuts?: PreTokenizerKind;
  /** How SentencePiece text gets its first space, where not always. */
  readonly prefix?: SpacePrefix;
}

/** Ids of tokens that take white space on one side along. */
export interface StripWords {
  /** Before them. */
  readonly left: ReadonlySet<number>;
  /** Behind them. */
  readonly right: ReadonlySet<number>;
}

/**
 * When a space is put before text: at the start and behind every special token
 * ("each"), the same unless there is one ("missing"), at the start of all unless
 * there is one ("first"), or never.
 */
export type SpacePrefix = "each" | "missing" | "first" | "never";
