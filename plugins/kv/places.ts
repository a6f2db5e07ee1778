/**
 * Where a code lies, so that integer products find neighbours side by side.
 *
 * K is read eight positions at a time, a tile: an i32 lane of a product is a
 * position. V is read eight dimensions at a time: a lane is a dimension.
 *
 * ```text
 *  K, 8 bits   a tile      [D/2]{ 8 positions × 2 dims }
 *  K, 4 bits   a tile      [D/4]{ 8 positions × 2 dims, 8 positions × 2 dims }
 *  V, 8 bits   [D/8][T/2]{ 8 dims × 2 positions }
 *  V, 4 bits   [D/8][T/4]{ 8 dims × 2 positions, 8 dims × 2 positions }
 * ```
 * Four bits: each { … } is 16 bytes; the first eight pairs are the low nibbles, the
 * second the high ones.
 *
 * @module
 */

/** Byte of an 8-bit K code within its tile. */
export function keyByte(p: number, d: number): number {
  return (d >> 1) * 16 + (p & 7) * 2 + (d & 1);
}

/** Byte of an 8-bit V code. */
export function valueByte(p: number, d: number, tokens: number): number {
  return ((d >> 3) * (tokens >> 1) + (p >> 1)) * 16 + (d & 7) * 2 + (p & 1);
}

/** Nibble of a 4-bit K code within its tile: twice its byte, one more for the high one. */
export function keyNibble(p: number, d: number): number {
  return ((d >> 2) * 16 + (p & 7) * 2 + (d & 1)) * 2 + ((d >> 1) & 1);
}

/** Nibble of a 4-bit V code: twice its byte, one more for the high one. */
export function valueNibble(p: number, d: number, tokens: number): number {
  const line = (d >> 3) * (tokens >> 2) + (p >> 2);
  return (line * 16 + (d & 7) * 2 + (p & 1)) * 2 + ((p >> 1) & 1);
}

/** Writes a nibble of the codes at `from`; its byte was 0 before. */
export function putNibble(
  out: Uint8Array,
  from: number,
  nibble: number,
  code: number,
): void {
  out[from + (nibble >> 1)]! |= code << ((nibble & 1) * 4);
}

/** The nibble of the codes at `from`. */
export function nibbleAt(
  bytes: Uint8Array,
  from: number,
  nibble: number,
): number {
  return (bytes[from + (nibble >> 1)]! >> ((nibble & 1) * 4)) & 15;
}
