/**
 * SHA-256 (FIPS 180-4) without waiting: the content address of a block is
 * wanted in the middle of a commit, where `crypto.subtle` would have to be
 * awaited.
 *
 * @module
 */

const K = new Int32Array(64);
const INITIAL = new Int32Array(8);

/** Fractions of the roots of the first primes, as the standard defines them. */
function fillConstants(): void {
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) INITIAL[found] = rootBits(n, 2);
    K[found++] = rootBits(n, 3);
  }
}

/** First 32 bits of the fraction of the `degree`-th root, exact in integers. */
function rootBits(n: number, degree: 2 | 3): number {
  const target = BigInt(n) << BigInt(32 * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(degree) <= target) low = middle;
    else high = middle;
  }
  return Number(BigInt.asIntN(32, low));
}
fillConstants();

const w = new Int32Array(64);
const state = new Int32Array(8);
const tail = new Uint8Array(128);

/** Hashes `bytes` into `out` (32 bytes, may be part of `bytes`) and returns it. */
export function sha256(
  bytes: Uint8Array,
  out: Uint8Array = new Uint8Array(32),
): Uint8Array {
  state.set(INITIAL);
  const whole = bytes.length - (bytes.length % 64);
  for (let at = 0; at < whole; at += 64) compress(bytes, at);
  const rest = bytes.length - whole;
  const padded = rest < 56 ? 64 : 128;
  tail.fill(0);
  for (let i = 0; i < rest; i++) tail[i] = bytes[whole + i]!;
  tail[rest] = 0x80;
  // Length in bits, big-endian; above 2^32 the high word counts.
  let bits = bytes.length * 8;
  for (let i = 1; i <= 8; i++) {
    tail[padded - i] = bits % 256;
    bits = Math.floor(bits / 256);
  }
  for (let at = 0; at < padded; at += 64) compress(tail, at);
  for (let i = 0; i < 32; i++) {
    out[i] = state[i >> 2]! >>> (24 - 8 * (i & 3));
  }
  return out;
}

/** The hash of a text, as 64 hexadecimal digits. */
export function sha256Text(text: string): string {
  return hex(sha256(new TextEncoder().encode(text)));
}

/** Bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  let out = "";
  for (const b of bytes) out += (b < 16 ? "0" : "") + b.toString(16);
  return out;
}

function compress(bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) {
    const j = at + 4 * i;
    w[i] = bytes[j]! << 24 | bytes[j + 1]! << 16 | bytes[j + 2]! << 8 |
      bytes[j + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
  }
  let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
  let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
  for (let i = 0; i < 64; i++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

function turn(x: number, by: number): number {
  return (x >>> by) | (x << (32 - by));
}
