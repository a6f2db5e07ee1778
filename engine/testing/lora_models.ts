/**
 * Tiny models with the weights that `testdata/lora` was computed from: numbers of a
 * formula, so that they need not be stored.
 *
 * @module
 */
import type { WrittenModule } from "../../models/testing/lora_writer.ts";
import { random } from "../../core/testing/random_model.ts";
import { VALUE } from "../../models/gguf/value_types.ts";
import type {
  Entry,
  WrittenFile,
  WrittenTensor,
} from "../../models/testing/gguf_writer.ts";

const VOCAB = 48, HIDDEN = 32, FFN = 40, LAYERS = 2, HEADS = 4, KV_HEADS = 2;
const HEAD = HIDDEN / HEADS;

/** GGUF's name of a tensor as a hub calls it, and its length or rows and columns. */
type Shapes = Record<
  string,
  readonly [gguf: string, rows: number, columns: number]
>;

function shapesOf(biases: boolean): Shapes {
  const out: Shapes = {
    "lm_head.weight": ["output.weight", VOCAB, HIDDEN],
    "model.embed_tokens.weight": ["token_embd.weight", VOCAB, HIDDEN],
    "model.norm.weight": ["output_norm.weight", HIDDEN, 1],
  };
  const kv = KV_HEADS * HEAD;
  for (let i = 0; i < LAYERS; i++) {
    const from = `model.layers.${i}`, to = `blk.${i}`;
    const add = (
      name: string,
      gguf: string,
      rows: number,
      columns: number,
      bias = false,
    ): void => {
      out[`${from}.${name}.weight`] = [`${to}.${gguf}.weight`, rows, columns];
      if (bias) out[`${from}.${name}.bias`] = [`${to}.${gguf}.bias`, rows, 1];
    };
    add("input_layernorm", "attn_norm", HIDDEN, 1);
    add("post_attention_layernorm", "ffn_norm", HIDDEN, 1);
    add("self_attn.q_proj", "attn_q", HIDDEN, HIDDEN, biases);
    add("self_attn.k_proj", "attn_k", kv, HIDDEN, biases);
    add("self_attn.v_proj", "attn_v", kv, HIDDEN, biases);
    add("self_attn.o_proj", "attn_output", HIDDEN, HIDDEN);
    add("mlp.gate_proj", "ffn_gate", FFN, HIDDEN);
    add("mlp.up_proj", "ffn_up", FFN, HIDDEN);
    add("mlp.down_proj", "ffn_down", HIDDEN, FFN);
  }
  return out;
}

/** Every matrix of the model that can take an adapter, with one of a rank of its own. */
export function loraModules(): readonly WrittenModule[] {
  return Object.values(shapesOf(false))
    .filter(([name, , columns]) => columns > 1 && name !== "token_embd.weight")
    .map(([name, outputs, inputs], i) => ({
      ...{ name, outputs, inputs },
      rank: 2 + 3 * (i % 4),
    }));
}

/** One of the models as a file to be written. */
export function loraModel(architecture: "llama" | "qwen2"): WrittenFile {
  const biases = architecture === "qwen2";
  const shapes = shapesOf(biases);
  const tensors = Object.keys(shapes).sort().map((name, k): WrittenTensor => {
    const [gguf, rows, columns] = shapes[name]!, next = random(1000 + k);
    const values = Float32Array.from({ length: rows * columns }, () => {
      const u = next() * 2 - 1;
      return name.endsWith("norm.weight")
        ? 1 + 0.3 * u
        : name.endsWith("bias")
        ? 0.2 * u
        : u * 1.5 / Math.sqrt(columns);
    });
    const reordered = architecture === "llama" && /attn_[qk]\.w/.test(gguf);
    return {
      name: gguf,
      dims: columns === 1 ? [rows] : [columns, rows],
      type: 0,
      bytes: new Uint8Array(
        (reordered ? interleaved(values) : values).buffer,
      ),
    };
  });
  const key = (name: string): string => `${architecture}.${name}`;
  const entries: Entry[] = [
    ["general.architecture", VALUE.STRING, architecture],
    [key("block_count"), VALUE.U32, LAYERS],
    [key("context_length"), VALUE.U32, 256],
    [key("embedding_length"), VALUE.U32, HIDDEN],
    [key("feed_forward_length"), VALUE.U32, FFN],
    [key("attention.head_count"), VALUE.U32, HEADS],
    [key("attention.head_count_kv"), VALUE.U32, KV_HEADS],
    [key("attention.layer_norm_rms_epsilon"), VALUE.F32, 1e-5],
    ["tokenizer.ggml.model", VALUE.STRING, "gpt2"],
    ["tokenizer.ggml.pre", VALUE.STRING, "gpt-2"],
    [
      "tokenizer.ggml.tokens",
      VALUE.ARRAY,
      VALUE.STRING,
      Array.from({ length: VOCAB }, (_, i) => String.fromCharCode(0x41 + i)),
    ],
    [
      "tokenizer.ggml.token_type",
      VALUE.ARRAY,
      VALUE.I32,
      Array.from({ length: VOCAB }, () => 1),
    ],
    ["tokenizer.ggml.merges", VALUE.ARRAY, VALUE.STRING, []],
    ["tokenizer.ggml.eos_token_id", VALUE.U32, 1],
  ];
  return { entries, tensors };
}

/** Rows of a head in turn from its first and its second half. */
function interleaved(values: Float32Array): Float32Array {
  const out = new Float32Array(values.length), half = HEAD / 2;
  for (let row = 0; row < values.length / HIDDEN; row++) {
    const at = row % HEAD;
    const to = row - at + (at < half ? 2 * at : 2 * (at - half) + 1);
    const from = values.subarray(row * HIDDEN, (row + 1) * HIDDEN);
    out.set(from, to * HIDDEN);
  }
  return out;
}
