import { adapterLaws } from "../core/testing/adapter_laws.ts";
import { createWasm } from "./backend.ts";
import { withRandomFile } from "./testing/random_file.ts";

for (const build of ["simd", "relaxed"] as const) {
  for (const exact of [true, false]) {
    const threads = exact ? 3 : 1;
    adapterLaws(
      `createWasm({ build: "${build}", exact: ${exact}, threads: ${threads} })`,
      (model, adapters) =>
        withRandomFile(model, ({ spec, paths }) =>
          createWasm({
            ...{ spec, paths, threads, build, exact, adapters },
            context: 64,
            bytes: 64 << 20,
            rows: 40,
            seqs: 4,
            wanted: 40,
          })),
      exact ? 6e-5 : 2e-2,
    );
  }
}
