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
