/**
 * A model file with experts and random weights, for benchmarks: as Mixtral in all but
 * size, with routers that like some experts better than others.
 *
 * @module
 */
import { VALUE } from "../../models/gguf/value_types.ts";

/** Sizes of the model. */
export interface ExpertModelSizes {
  readonly hidden: number;
  readonly layers: number;
  readonly experts: number;
  readonly used: number;
  readonly ffn: number;
}

/** About 100 MB. */
export const SIZES: ExpertModelSizes = {
  ...{ hidden: 512, layers: 8, experts: 16, used: 2, ffn: 896 },
};

const VOCAB = 1000, HEADS = 8, KV_HEADS = 2;

/** GGUF's numbers for F32 and Q4_0; values and bytes of a block of the latter. */
const F32 = 0, Q4_0 = 2, BLOCK = 32, BLOCK_BYTES = 18;

/** How much less each expert is liked than the one before, a power of its rank. */
const SKEW = 0.1;

interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Writes the model to `path` and returns its size in bytes. */
export async function writeExpertModel(
  path: string,
  sizes: ExpertModelSizes = SIZES,
): Promise<number> {
  const tensors = tensorsOf(sizes), next = dice(1);
  using file = await Deno.open(path, { write: true, create: true });
  let bytes = 0;
  /** In whole 32 bytes. */
  const write = async (data: Uint8Array): Promise<void> => {
    const whole = new Uint8Array(Math.ceil(data.length / 32) * 32);
    whole.set(data);
    for (let at = 0; at < whole.length;) {
      at += await file.write(whole.subarray(at));
    }
    bytes += whole.length;
  };
  await write(header(tensors, sizes));
  for (const tensor of tensors) await write(valuesOf(tensor, next));
  return bytes;
}

function tensorsOf({ hidden, layers, experts, ffn }: ExpertModelSizes) {
  const head = hidden / HEADS;
  const of = (name: string, ...dims: number[]): Tensor => ({
    name: `${name}.weight`,
    dims,
  });
  return [
    of("token_embd", hidden, VOCAB),
    of("output_norm", hidden),
    of("output", hidden, VOCAB),
    ...Array.from({ length: layers }, (_, i) => [
      of(`blk.${i}.attn_norm`, hidden),
      of(`blk.${i}.ffn_norm`, hidden),
      of(`blk.${i}.attn_q`, hidden, hidden),
      of(`blk.${i}.attn_k`, hidden, KV_HEADS * head),
      of(`blk.${i}.attn_v`, hidden, KV_HEADS * head),
      of(`blk.${i}.attn_output`, hidden, hidden),
      of(`blk.${i}.ffn_gate_inp`, hidden, experts),
      of(`blk.${i}.ffn_gate_exps`, hidden, ffn, experts),
      of(`blk.${i}.ffn_up_exps`, hidden, ffn, experts),
      of(`blk.${i}.ffn_down_exps`, ffn, hidden, experts),
    ]).flat(),
  ];
}

function isFloat({ name, dims }: Tensor): boolean {
  return dims.length === 1 || name.includes("gate_inp");
}

function bytesOf(tensor: Tensor): number {
  const values = tensor.dims.reduce((a, b) => a * b, 1);
  return isFloat(tensor) ? values * 4 : values / BLOCK * BLOCK_BYTES;
}

/** Norms of 1, matrices that keep the size of what they multiply. */
function valuesOf(tensor: Tensor, next: () => number): Uint8Array {
  const out = new Uint8Array(bytesOf(tensor)), { dims } = tensor;
  const [inputs = 1] = dims;
  if (isFloat(tensor)) {
    const values = new Float32Array(out.buffer);
    const order = Array.from({ length: dims[1] ?? 0 }, (_, i) => i)
      .map((i) => [next(), i] as const).sort((a, b) => a[0] - b[0]);
    for (let i = 0; i < values.length; i++) {
      const rank = order[Math.floor(i / inputs)]?.[1] ?? 0;
      values[i] = dims.length === 1
        ? 1
        : (next() - 0.5) * 12 / Math.sqrt(inputs) * (rank + 1) ** -SKEW;
    }
    return out;
  }
  // Sixteen equal steps about 0 have a deviation of 4.6 of them.
  const scale = new Uint16Array(
    new Float16Array([
      1.2 / (4.6 * Math.sqrt(tensor.name.startsWith("token") ? 1 : inputs)),
    ]).buffer,
  )[0]!;
  for (let at = 0; at < out.length; at += BLOCK_BYTES) {
    out[at] = scale & 255;
    out[at + 1] = scale >> 8;
    for (let i = 2; i < BLOCK_BYTES; i++) out[at + i] = next() * 256;
  }
  return out;
}

/** Numbers from 0 to 1: a counter through a mixing function. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b1) | 0;
    let x = Math.imul(state ^ (state >>> 15), 0x85ebca77);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae3d);
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Metadata, and where tensors are. */
function header(
  tensors: readonly Tensor[],
  { hidden, layers, experts, used, ffn }: ExpertModelSizes,
): Uint8Array {
  const out: number[] = [...new TextEncoder().encode("GGUF")];
  const word = (value: number): void => {
    for (let i = 0; i < 4; i++) out.push(value >>> (8 * i) & 255);
  };
  const long = (value: number): void => {
    word(value % 2 ** 32);
    word(Math.floor(value / 2 ** 32));
  };
  const text = (value: string): void => {
    const bytes = new TextEncoder().encode(value);
    long(bytes.length);
    out.push(...bytes);
  };
  const bits = new DataView(new ArrayBuffer(4));
  const float = (value: number): void => {
    bits.setFloat32(0, value);
    word(bits.getUint32(0));
  };
  const counts = {
    ...{ block_count: layers, context_length: 4096, embedding_length: hidden },
    ...{ feed_forward_length: ffn, expert_count: experts },
    ...{ expert_used_count: used, "attention.head_count": HEADS },
    "attention.head_count_kv": KV_HEADS,
  };
  const entries: (() => void)[] = [
    ...Object.entries(counts).map(([key, value]) => () => {
      text(`llama.${key}`);
      word(VALUE.U32);
      word(value);
    }),
    () => {
      text("llama.attention.layer_norm_rms_epsilon");
      word(VALUE.F32);
      float(1e-5);
    },
    ...[
      ["general.architecture", "llama"],
      ["tokenizer.ggml.model", "gpt2"],
      ["tokenizer.ggml.pre", "gpt-2"],
    ].map(([key, value]) => () => {
      text(key!);
      word(VALUE.STRING);
      text(value!);
    }),
    ...[
      ["tokens", ["a", "b", "ab", ...names(VOCAB - 3)]],
      ["merges", ["a b"]],
    ].map(([key, values]) => () => {
      text(`tokenizer.ggml.${key}`);
      word(VALUE.ARRAY);
      word(VALUE.STRING);
      long(values!.length);
      for (const value of values!) text(value);
    }),
  ];
  word(3);
  long(tensors.length);
  long(entries.length);
  for (const entry of entries) entry();
  let offset = 0;
  for (const tensor of tensors) {
    text(tensor.name);
    word(tensor.dims.length);
    for (const dim of tensor.dims) long(dim);
    word(isFloat(tensor) ? F32 : Q4_0);
    long(offset);
    offset += Math.ceil(bytesOf(tensor) / 32) * 32;
  }
  return Uint8Array.from(out);
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `t${i}`);
}
