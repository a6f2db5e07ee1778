import assert from "node:assert/strict";
import type { Calibration } from "../plugins/kv/calibration.ts";
import {
  calibrationPath,
  readCalibration,
  writeCalibration,
} from "./calibration_file.ts";

const MADE: Calibration = {
  model: "weights",
  tokens: 512,
  centre: [Float32Array.of(1, 0, -2.5), new Float32Array(0)],
  losses: { int8: 1e-4, int4: [{ k: 1e-3, v: 0 }, { k: 0.5, v: 2 }] },
};

async function withModel(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "quire_calibration_" });
  try {
    const path = `${folder}/model.gguf`;
    await Deno.writeFile(path, new Uint8Array(8));
    await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readCalibration() gives back what writeCalibration() wrote, and replaced", () =>
  withModel(async (path) => {
    await writeCalibration(path, { ...MADE, tokens: 1 });
    assert.equal(await writeCalibration(path, MADE), calibrationPath(path));
    assert.deepEqual(await readCalibration(path), MADE);
    const left = [...Deno.readDirSync(path.replace(/\/[^/]*$/, ""))];
    assert.deepEqual(left.map((f) => f.name).sort(), [
      "model.gguf",
      "model.gguf.kv.json",
    ]);
  }));

Deno.test("readCalibration() says what to do where there is none, and names what is torn", () =>
  withModel(async (path) => {
    await assert.rejects(
      () => readCalibration(path),
      { name: "RangeError", message: /quire calibrate .*--text FILE/ },
    );
    const file = await writeCalibration(path, MADE);
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.slice(0, text.length / 2));
    await assert.rejects(
      () => readCalibration(path),
      (e: unknown) =>
        e instanceof TypeError &&
        e.message.includes(`"${file}": it is no JSON`),
    );
    for (
      const losses of [
        null,
        [],
        { int8: 1 },
        { int4: [], int8: -1 },
        { int4: [{ k: 1 }], int8: 0 },
        { int4: [{ k: 1, v: "2" }], int8: 0 },
      ]
    ) {
      await Deno.writeTextFile(
        file,
        JSON.stringify({ ...JSON.parse(text), losses }),
      );
      await assert.rejects(() => readCalibration(path), /"losses"/);
    }
  }));
