import assert from "node:assert/strict";

const MAIN = new URL("strategies.ts", import.meta.url).href;

async function run(...args: string[]) {
  const command = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-read", "--allow-env", MAIN, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("evaluate/strategies.ts gives tables, JSON and its progress apart", async () => {
  const data = await Deno.makeTempDir({ prefix: "quire_test_" });
  try {
    await Deno.mkdir(`${data}/traces`);
    const azure = ["TIMESTAMP,ContextTokens,GeneratedTokens"];
    const mooncake: string[] = [];
    for (let i = 0; i < 20; i++) {
      azure.push(`2023-11-16 18:17:${10 + i}.000,${100 + 9 * i},${20 + i}`);
      const lengths = { input_length: 90 + 7 * i, output_length: 30 };
      mooncake.push(JSON.stringify({ timestamp: i * 100, ...lengths }));
    }
    const write = (name: string, lines: string[]) =>
      Deno.writeTextFile(`${data}/traces/${name}`, lines.join("\n"));
    await write("az_code.csv", azure);
    await write("mc_synthetic.jsonl", mooncake);
    const args = ["waste", "--data", data, "--chunks", "64"];
    const text = await run(...args);
    assert.equal(text.code, 0, text.err);
    assert.match(text.out, /^## waste\n/);
    assert.match(text.out, /\| pages of 16 +\| +\d+\.\d %/);
    assert.match(
      text.out,
      /No token is in \d+\.\d % to \d+\.\d % of the bytes/,
    );
    assert.doesNotMatch(text.out, /not run/);
    assert.match(text.err, /^waste: az_code, steps of 64: pages of 8$/m);
    const json = await run(...args, "--json");
    const { name, rows } = JSON.parse(json.out);
    assert.equal(name, "waste");
    // Two traces, two scales.
    const pages = rows.filter((r: { layout: string }) =>
      r.layout === "pages of 16"
    );
    assert.equal(pages.length, 4);
    const whole = rows.filter((r: { layout: string }) =>
      r.layout.startsWith("contiguous")
    );
    for (const [i, { waste }] of pages.entries()) {
      assert.ok(waste.ofBytes > 0 && waste.ofBytes < whole[i].waste.ofBytes);
    }
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("evaluate/strategies.ts says how it goes, and what is wrong", async () => {
  const help = await run("--help");
  assert.equal(help.code, 0);
  assert.match(help.out, /^evaluate\/strategies\.ts NAME\.\.\./);
  const bad = await run("nothing");
  assert.equal(bad.code, 2);
  assert.match(bad.err, /Cannot run "nothing": waste, paging/);
  assert.equal(bad.out, "");
});
