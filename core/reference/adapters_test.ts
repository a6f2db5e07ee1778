import { adapterLaws } from "../testing/adapter_laws.ts";
import { createReference } from "./backend.ts";

adapterLaws(
  "createReference()",
  ({ spec, read }, adapters) =>
    createReference({
      spec,
      read,
      adapters,
      limits: { bytes: 8 << 20, rows: 40, seqs: 4, wanted: 40, top: 5 },
    }),
  6e-5,
);
