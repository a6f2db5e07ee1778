/**
 * What the offer of every attention kernel keeps. Whether it computes rightly is
 * a matter of its backend's tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AttendKernel } from "../../slots.ts";
import type { LayerShape, Support } from "../../types.ts";
import { type Law, type Make, register } from "./suite.ts";

const BLOCKS = [1, 2, 3, 8, 16, 24, 32, 64, 128, 256, 2048];

function* layers(): Iterable<LayerShape> {
  for (const headDim of [1, 32, 64, 80, 128, 256]) {
    for (const [qHeads, kvHeads] of [[1, 1], [9, 3], [32, 8]] as const) {
      yield { layer: 0, qHeads, kvHeads, headDim };
    }
  }
}

/** The laws of what the `kernel` slot offers. `format`: one the kernel reads. */
export function kernelLaws(format: string): readonly Law<AttendKernel>[] {
  return [
    {
      says: "has a name and a backend",
      check: async (make) => {
        const { id, backend } = await make();
        assert.ok(id.length > 0 && backend.length > 0);
      },
    },
    {
      says: "offers a cost or says why not, and the same again",
      check: async (make) => {
        const kernel = await make();
        for (const layer of layers()) {
          for (const tokens of BLOCKS) {
            const s = kernel.supports(format, layer, tokens);
            assertOffer(s);
            assert.deepEqual(kernel.supports(format, { ...layer }, tokens), s);
          }
        }
      },
    },
    {
      says: "takes some shape, in whatever layer",
      check: async (make) => {
        const kernel = await make();
        let taken = 0;
        for (const layer of layers()) {
          for (const tokens of BLOCKS) {
            const here = kernel.supports(format, layer, tokens);
            const there = kernel.supports(
              format,
              { ...layer, layer: 9 },
              tokens,
            );
            assert.equal(here.ok, there.ok);
            if (here.ok) taken++;
          }
        }
        assert.ok(taken > 0, `no block of "${format}" is taken`);
      },
    },
    {
      says: "declines a format that it does not know",
      check: async (make) => {
        const kernel = await make();
        for (const layer of layers()) {
          for (const unknown of ["", "no such format"]) {
            const s = kernel.supports(unknown, layer, 32);
            assert.equal(s.ok, false, `takes "${unknown}"`);
            assertOffer(s);
          }
        }
      },
    },
  ];
}

/** Registers the laws of a kernel's offer as tests. */
export function kernelSuite(
  name: string,
  make: Make<AttendKernel>,
  format: string,
): void {
  register(name, kernelLaws(format), make);
}

function assertOffer(s: Support): void {
  if (s.ok) assert.ok(s.cost >= 0 && s.cost < Infinity, `cost ${s.cost}`);
  else assert.ok(s.why.length > 0, "declines without a reason");
}
