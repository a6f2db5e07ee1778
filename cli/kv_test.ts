import assert from "node:assert/strict";
import { kvChoice } from "./kv.ts";
import { quire } from "./testing/tiny_model.ts";

Deno.test("kvChoice() reads both, one, and neither", () => {
  assert.equal(kvChoice({}), undefined);
  assert.deepEqual(kvChoice({ kv: "int8" }), { k: "int8", v: "int8" });
  assert.deepEqual(kvChoice({ kv: "int8", kvV: "int4" }), {
    k: "int8",
    v: "int4",
  });
  assert.deepEqual(kvChoice({ kvK: "int8" }), { k: "int8", v: "f16" });
  assert.deepEqual(kvChoice({ kv: "auto", divergence: 0.01 }), { auto: 0.01 });
  assert.throws(() => kvChoice({ divergence: 1 }), /without "--kv auto"/);
  assert.throws(
    () => kvChoice({ kv: "int8", divergence: 1 }),
    /without "--kv auto"/,
  );
  assert.throws(() => kvChoice({ kv: "auto", kvK: "int8" }), /it chooses both/);
});

Deno.test("--kv shows in the plan, and is refused where it cannot be", async () => {
  const coded = await quire(["inspect", "MODEL", "--kv", "int8"]);
  assert.equal(coded.status, 0, coded.host.stderr);
  assert.match(coded.host.stdout, /"int8h\/int8" sealed, fused/);
  const auto = await quire(["run", "hello", "-m", "MODEL", "--kv", "auto"]);
  assert.equal(auto.status, 1);
  assert.match(auto.host.stderr, /quire calibrate .* --text FILE/);
  const odd = await quire(["inspect", "MODEL", "--kv", "int5"]);
  assert.equal(odd.status, 2);
  assert.match(odd.host.stderr, /"--kv" with "int5": "int8" or "int4"/);
});

Deno.test("calibrate writes beside the model, and --kv auto takes it", async () => {
  const text = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(text, "The robin sings in the rain. ".repeat(200));
    const none = await quire(["calibrate", "MODEL"]);
    assert.equal(none.status, 2);
    assert.match(none.host.stderr, /without a text: "--text FILE"/);
    const short = await quire(["calibrate", "MODEL", "--text", `${text}.no`]);
    assert.equal(short.status, 2);
    assert.match(short.host.stderr, /there is no such file/);
  } finally {
    await Deno.remove(text);
  }
});
