/**
 * A stand-in for the part of `@std/cli` that this project uses, for machines
 * that cannot reach the registry it is published in.
 *
 * @module
 */

export * from "./parse_args.ts";
