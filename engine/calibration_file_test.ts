import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import type { Calibration } from "../plugins/kv/calibration.ts";
import {
  calibrationPath,
  findCalibration,
  readCalibration,
  writeCalibration,
} from "./calibration_file.ts";

const MADE: Calibration = {
  model: "weights",
  tokens: 512,
  centre: [Float32Array.of(1, 0, -2.5), new Float32Array(0)],
  losses: {
    int8: 1e-4,
    int4: [{ k: 1e-3, v: 0 }, { k: 0.5, v: 2 }],
    values: [3, 64],
  },
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
      { name: "ModelError", message: /quire calibrate .*--text FILE/ },
    );
    assert.equal(await findCalibration(path), undefined);
    const file = await writeCalibration(path, MADE);
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.slice(0, text.length / 2));
    await assert.rejects(
      () => readCalibration(path),
      (e: unknown) =>
        e instanceof ModelError &&
        e.message.includes(`cannot read "${file}": it is no JSON; run "quire`),
    );
    await assert.rejects(() => findCalibration(path), ModelError);
    await Deno.writeTextFile(file, text.replace('"version":1', '"version":2'));
    await assert.rejects(
      () => readCalibration(path),
      /version 1 is wanted, not 2: calibrate again; run "quire calibrate/,
    );
    for (
      const losses of [
        null,
        [],
        { int8: 1 },
        { int4: [], int8: -1 },
        { int4: [{ k: 1 }], int8: 0, values: [1] },
        { int4: [{ k: 1, v: "2" }], int8: 0, values: [1] },
      ]
    ) {
      await Deno.writeTextFile(
        file,
        JSON.stringify({ ...JSON.parse(text), losses }),
      );
      await assert.rejects(() => readCalibration(path), /"losses"/);
    }
  }));

Deno.test("writeCalibration() that fails leaves what was there, and nothing else", () =>
  withModel(async (path) => {
    const file = await writeCalibration(path, MADE);
    const folder = file.replace(/\/[^/]*$/, "");
    const bad = { ...MADE, centre: [null as unknown as Float32Array] };
    await assert.rejects(() => writeCalibration(path, bad));
    assert.deepEqual(await readCalibration(path), MADE);
    // A name that is taken by a folder cannot be replaced.
    await Deno.remove(file);
    await Deno.mkdir(`${file}/full`, { recursive: true });
    await assert.rejects(() => writeCalibration(path, MADE));
    const left = [...Deno.readDirSync(folder)].map((f) => f.name).sort();
    assert.deepEqual(left, ["model.gguf", "model.gguf.kv.json"]);
  }));

Deno.test("writeCalibration() twice at once leaves one of the two, whole", () =>
  withModel(async (path) => {
    const long = { ...MADE, centre: [new Float32Array(5000).fill(1)] };
    await Promise.all([
      writeCalibration(path, long),
      writeCalibration(path, MADE),
      writeCalibration(path, long),
      writeCalibration(path, MADE),
    ]);
    const { centre } = await readCalibration(path);
    assert.ok([1, 2].includes(centre.length));
    assert.deepEqual(centre, (centre.length === 1 ? long : MADE).centre);
  }));
