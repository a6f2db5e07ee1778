import assert from "node:assert/strict";
import { violations } from "./check_imports.ts";

/** What is said of a project with one file that imports each of `specifiers`. */
function of(path: string, ...specifiers: string[]): string[] {
  const text = specifiers.map((s) => `import { x } from "${s}";\n`).join("");
  return violations(new Map([[path, text]]));
}

const allowed: [string, string][] = [
  ["core/a.ts", "./b.ts"],
  ["core/sub/a.ts", "../b.ts"],
  ["core/a_test.ts", "node:assert/strict"],
  ["plugins/a.ts", "../core/b.ts"],
  ["plugins/webgpu/a.ts", "./b.ts"],
  ["plugins/webgpu/a.ts", "../../core/b.ts"],
  ["plugins/mod.ts", "./a.ts"],
  ["plugins/kv_a.ts", "./kv/b.ts"],
  ["plugins/disk_a.ts", "./disk/b.ts"],
  ["plugins/redis_a.ts", "./redis/b.ts"],
  ["plugins/redis/a.ts", "npm:@scope/name@1.2.3"],
  ["plugins/a_test.ts", "./b.ts"],
  ["wasm/a.ts", "../core/b.ts"],
  ["models/a.ts", "../core/b.ts"],
  ["models/a.ts", "npm:name@1.2.3"],
  ["models/a.ts", "npm:@scope/name@1.2.3-rc.1/sub"],
  ["models/a.ts", "node:path"],
  ["engine/a.ts", "../wasm/b.ts"],
  ["engine/a.ts", "../plugins/b.ts"],
  ["server/a.ts", "../engine/b.ts"],
  ["cli.ts", "@std/cli/parse-args"],
  ["cli.ts", "./server/a.ts"],
  ["mod.ts", "./engine/a.ts"],
];

for (const [path, specifier] of allowed) {
  Deno.test(`violations() lets ${path} import "${specifier}"`, () => {
    assert.deepEqual(of(path, specifier), []);
  });
}

const refused: [string, string, RegExp][] = [
  ["core/a.ts", "../engine/b.ts", /core\/ imports nothing outside core\//],
  ["core/a_test.ts", "../models/b.ts", /core\/ imports nothing/],
  ["core/a.ts", "npm:name@1.2.3", /core\/ imports nothing/],
  ["core/a.ts", "node:path", /core\/ imports nothing/],
  ["core/sub/a.ts", "../../wasm/b.ts", /core\/ imports nothing/],
  ["plugins/a.ts", "./b.ts", /never one another/],
  ["plugins/a.ts", "./webgpu/b.ts", /never one another/],
  ["plugins/kv_a.ts", "./kv_b.ts", /never one another/],
  ["plugins/kva.ts", "./kv/b.ts", /never one another/],
  ["plugins/disk_a.ts", "./kv/b.ts", /never one another/],
  ["plugins/webgpu/a.ts", "../b.ts", /never one another/],
  ["plugins/a.ts", "../wasm/b.ts", /import core\/ and npm libraries only/],
  ["plugins/redis_a.ts", "npm:name@^1.2.3", /one exact version/],
  ["plugins/redis_a.ts", "./kv/b.ts", /never one another/],
  ["plugins/redis/a.ts", "../redis_b.ts", /never one another/],
  ["wasm/a.ts", "../models/b.ts", /wasm\/ imports core\/ only/],
  ["wasm/a.ts", "npm:name@1.2.3", /wasm\/ imports core\/ only/],
  ["models/a.ts", "../wasm/b.ts", /models\/ imports/],
  ["models/a.ts", "npm:name@^1.2.3", /one exact version/],
  ["models/a.ts", "npm:name", /one exact version/],
  ["engine/a.ts", "../server/b.ts", /engine\/ imports/],
  ["engine/a.ts", "../cli.ts", /engine\/ imports/],
  ["server/a.ts", "../models/b.ts", /server\/ imports/],
  ["mod.ts", "@std/cli/parse-args", /mod\.ts reaches it/],
  ["mod.ts", "https://example.com/x.ts", /mod\.ts reaches it/],
  ["mod.ts", "./bench/main.ts", /what users import/],
  ["cli.ts", "lodash", /wanted a relative/],
  ["cli.ts", "./engine/a_test.ts", /a test is imported/],
];

for (const [path, specifier, why] of refused) {
  Deno.test(`violations() refuses ${path} importing "${specifier}"`, () => {
    const found = of(path, specifier);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0]!, why);
    assert.ok(found[0]!.startsWith(`${path}:1 imports "${specifier}"`));
  });
}

Deno.test("violations() follows every form of import from mod.ts on", () => {
  const forms = (next: string): string[] => [
    `export * from "${next}";`,
    `import type { x } from "${next}";`,
    `export {\n  x,\n  y,\n} from "${next}";`,
    `import "${next}";`,
    `async function f() {\n  const { x } = await import("${next}");\n}`,
    `const w = new Worker(\n  new URL("${next}", import.meta.url),\n);`,
  ];
  for (const text of forms("./engine/a.ts")) {
    const found = violations(
      new Map([["mod.ts", text], [
        "engine/a.ts",
        'import { x } from "@std/cli";\n',
      ]]),
    );
    assert.equal(found.length, 1, text);
    assert.match(
      found[0]!,
      /engine\/a\.ts:1 imports "@std\/cli": mod\.ts reaches it/,
    );
  }
});

Deno.test("violations() reads no imports out of comments", () => {
  const text =
    '/**\n * import { x } from "../wasm/b.ts";\n */\n// import("../wasm/b.ts")\n';
  assert.deepEqual(violations(new Map([["core/a.ts", text]])), []);
});
