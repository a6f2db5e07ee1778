import assert from "node:assert/strict";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { seeded } from "../random.ts";
import { ALL_PIECES, pieceTokenizer } from "../testing/piece_tokenizer.ts";
import { RandomSchemas } from "../testing/random_schema.ts";
import { Constraint, type Rules } from "./constraint.ts";
import type { Spot } from "./machine.ts";
import { allows, type Mask } from "./masks.ts";
import { rulesOf } from "./rules.ts";

const TOKENIZER = pieceTokenizer(ALL_PIECES);

/** Where a token leads, byte by byte. */
function behind({ machine }: Rules, spot: Spot, bytes: Iterable<number>) {
  let at: Spot | undefined = spot;
  for (const byte of bytes) {
    at = at === undefined ? undefined : machine.step(at, byte);
  }
  return at;
}

/** What a mask should say, token by token. */
function plain(rules: Rules, spot: Spot, most: number, tokenizer: Tokenizer) {
  const ids: number[] = [];
  let reach = 0;
  for (let id = 0; id < tokenizer.vocab; id++) {
    if (tokenizer.eog.has(id)) {
      if (spot.done) ids.push(id);
      continue;
    }
    if (!tokenizer.isText(id)) continue;
    const to = behind(rules, spot, tokenizer.bytes(id));
    if (to === undefined || to.rest > most) continue;
    ids.push(id);
    reach = Math.max(reach, to.rest);
  }
  return { ids, reach };
}

function idsOf(mask: Mask, vocab: number): number[] {
  const all = Array.from({ length: vocab }, (_, id) => id);
  const ids = all.filter((id) => allows(mask, id));
  assert.equal(mask.count, ids.length);
  return ids;
}

Deno.test("Masks are the tokens that lead on, and always one is nearer to the end", () => {
  const schemas = new RandomSchemas(11), random = seeded(12);
  for (let i = 0; i < 60; i++) {
    const schema = schemas.next();
    const rules = rulesOf({ type: "schema", schema }, TOKENIZER);
    let spot = rules.start;
    for (let n = 0; n < 25 && spot.ways.length > 0; n++) {
      const want = plain(rules, spot, Infinity, TOKENIZER);
      const mask = rules.masks.of(spot);
      assert.deepEqual(idsOf(mask, TOKENIZER.vocab), want.ids);
      assert.ok(mask.reach >= want.reach);
      for (const most of [spot.rest - 1, spot.rest, spot.rest + 2]) {
        const near = plain(rules, spot, most, TOKENIZER);
        const got = rules.masks.within(spot, most);
        assert.deepEqual(idsOf(got, TOKENIZER.vocab), near.ids);
        assert.ok(near.ids.length > 0, JSON.stringify(schema));
      }
      const text = want.ids.filter((id) => !TOKENIZER.eog.has(id));
      const id = text[Math.floor(random() * text.length)]!;
      spot = behind(rules, spot, TOKENIZER.bytes(id))!;
    }
  }
});

Deno.test("Masks of large vocabularies are bits, and say the same", () => {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const words = [...letters].flatMap((a) =>
    [...letters].flatMap((b) => [`${a}${b}`, `${a}"${b}`, `${a}${b}"`])
  );
  const tokenizer = pieceTokenizer([...ALL_PIECES, ...words]);
  const schema = { type: "array", items: { type: "string", maxLength: 40 } };
  const rules = rulesOf({ type: "schema", schema }, tokenizer);
  const spot = behind(rules, rules.start, new TextEncoder().encode('["a","'))!;
  const mask = rules.masks.of(spot);
  assert.ok(mask.bits !== undefined && mask.ids === undefined);
  const { ids } = plain(rules, spot, Infinity, tokenizer);
  assert.ok(ids.length > 1024);
  assert.deepEqual(idsOf(mask, tokenizer.vocab), ids);
});

Deno.test("Constraint ends a text of random tokens in time, valid and at most so long", () => {
  const schemas = new RandomSchemas(21), random = seeded(22);
  for (let i = 0; i < 150; i++) {
    const schema = schemas.next();
    const rules = rulesOf({ type: "schema", schema }, TOKENIZER);
    const most = rules.start.rest + Math.floor(random() * 20);
    const constraint = new Constraint(rules, most);
    const bytes: number[] = [];
    let made = 0, ended = false;
    while (made < most && !ended) {
      const ids = idsOf(constraint.mask, TOKENIZER.vocab);
      const id = ids[Math.floor(random() * ids.length)]!;
      constraint.take(id);
      made++;
      ended = TOKENIZER.eog.has(id) || constraint.ended;
      if (!TOKENIZER.eog.has(id)) bytes.push(...TOKENIZER.bytes(id));
    }
    const text = new TextDecoder("utf-8", { fatal: true })
      .decode(Uint8Array.from(bytes));
    JSON.parse(text);
    const spot = behind(rules, rules.start, bytes)!;
    assert.ok(spot.done, `${JSON.stringify(schema)} ${text}`);
  }
});

Deno.test("Constraint says what it shortened, refuses too few tokens and tokens that are not allowed", () => {
  const schema = { type: "array", items: { const: 7 } };
  const rules = rulesOf({ type: "schema", schema }, TOKENIZER);
  assert.throws(() => new Constraint(rules, 1), /sure to fit in 2; allow more/);
  const take = (most: number, text: string): Constraint => {
    const constraint = new Constraint(rules, most);
    for (const c of text) constraint.take(c.charCodeAt(0));
    return constraint;
  };
  assert.equal(take(20, "[7,7]").shortened, false);
  assert.ok(take(20, "[7,7]").ended);
  assert.ok(!take(20, "[7,7").ended);
  // After "[7" two tokens are left: a comma would not come to an end.
  const short = take(4, "[7");
  assert.ok(!allows(short.mask, 0x2c));
  assert.ok(allows(short.mask, 0x5d));
  short.take(0x5d);
  assert.deepEqual([short.ended, short.shortened], [true, true]);
  assert.throws(() => take(20, "[8"), /not allowed/);
});
