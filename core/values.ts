/**
 * Stored floats as f32.
 *
 * @module
 */

/**
 * Writes the values of little-endian bytes to `out`. Throws a RangeError where they
 * are not as many.
 */
export function toFloats(
  type: "F32" | "F16" | "BF16",
  bytes: Uint8Array,
  out: Float32Array,
): void {
  const size = type === "F32" ? 4 : 2;
  if (bytes.length !== out.length * size) {
    throw new RangeError(
      `Cannot decode ${type}: ${bytes.length} bytes for ${out.length} values, wanted ${
        out.length * size
      }`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (type === "F32") {
    for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(4 * i, true);
  } else if (type === "F16") {
    for (let i = 0; i < out.length; i++) out[i] = view.getFloat16(2 * i, true);
  } else {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < out.length; i++) {
      bits[i] = view.getUint16(2 * i, true) << 16;
    }
  }
}
