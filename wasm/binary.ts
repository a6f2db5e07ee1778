/**
 * The kernels' binaries, compiled once.
 *
 * @module
 */

/** One source, two builds; "relaxed" needs relaxed SIMD. */
export type KernelBuild = "simd" | "relaxed";

/** A module with one relaxed opcode: does the engine take it? */
const PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123],
  ...[3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 147, 2, 11],
);

const modules = new Map<KernelBuild, Promise<WebAssembly.Module>>();

/** The build this machine runs. */
export function bestBuild(): KernelBuild {
  return WebAssembly.validate(PROBE) ? "relaxed" : "simd";
}

/** Compiles a build, once. */
export function kernelModule(build: KernelBuild): Promise<WebAssembly.Module> {
  let module = modules.get(build);
  if (module === undefined) {
    module = compile(build);
    modules.set(build, module);
  }
  return module;
}

async function compile(build: KernelBuild): Promise<WebAssembly.Module> {
  const { wasm } = build === "relaxed"
    ? await import("./generated/relaxed.ts")
    : await import("./generated/simd.ts");
  return await WebAssembly.compile(Uint8Array.fromBase64(wasm));
}
