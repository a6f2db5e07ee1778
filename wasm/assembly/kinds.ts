// Lane layouts of weights, by number: one row each in wasm/kernels.ts.

// @ts-ignore: decorator
@inline export const F32 = 0;
// @ts-ignore: decorator
@inline export const F16 = 1;
// @ts-ignore: decorator
@inline export const BF16 = 2;
/** 4 bits, offset 8, f16 scale. */
// @ts-ignore: decorator
@inline export const Q4 = 3;
/** 4 bits, f16 scale and minimum. */
// @ts-ignore: decorator
@inline export const Q4M = 4;
/** 4 bits, f32 scale and minimum. */
// @ts-ignore: decorator
@inline export const Q4MF = 5;
/** 5 bits, offset 16, f16 scale. */
// @ts-ignore: decorator
@inline export const Q5 = 6;
/** 5 bits, f16 scale and minimum. */
// @ts-ignore: decorator
@inline export const Q5M = 7;
/** 5 bits, f32 scale and minimum. */
// @ts-ignore: decorator
@inline export const Q5MF = 8;
/** 8 bits, signed, f16 scale. */
// @ts-ignore: decorator
@inline export const Q8 = 9;
/** 4 bits, 16 inputs a group, int8 group scales and minima. */
// @ts-ignore: decorator
@inline export const Q2K = 10;
/** 4 bits, offset 4, 16 inputs a group. */
// @ts-ignore: decorator
@inline export const Q3K = 11;
/** 6 bits, offset 32, 16 inputs a group. */
// @ts-ignore: decorator
@inline export const Q6K = 12;
/** 4 bits into the book of IQ4_NL, f16 scale. */
// @ts-ignore: decorator
@inline export const NL = 13;
// Books in the order of wasm/books.ts, f32 scale: first those of 8 bits.
// @ts-ignore: decorator
@inline export const NLF = 14;
// @ts-ignore: decorator
@inline export const BOOK3 = 15;
// @ts-ignore: decorator
@inline export const BOOK2 = 16;
// The values of these are below 16.
// @ts-ignore: decorator
@inline export const E2M1 = 17;
// @ts-ignore: decorator
@inline export const BOOK3S = 18;
// @ts-ignore: decorator
@inline export const BOOK1 = 19;
