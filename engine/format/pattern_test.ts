import assert from "node:assert/strict";
import { seeded } from "../random.ts";
import { reads } from "./byte_dfa.ts";
import { patternDfa, PatternError } from "./pattern.ts";
import { bodyBytes } from "./strings.ts";
import { formatNames, formatPattern } from "./string_formats.ts";

const PATTERNS = [
  ...["", "^$", "a", "^a", "a$", "^a$", "^ab|ba?b$".slice(0, 3), "^(?:a|b)*$"],
  ...[
    "^[a-c]{2,3}$",
    "[^a-c]",
    "^[^\\w]+$",
    "\\d\\D\\s\\S",
    "^.+$",
    "^(a(b)?)+$",
  ],
  ...[
    '^\\\\"+$',
    "^[\\]\\\\^-]*$",
    "^\\u00e9[é-ü]?$",
    "^\\u{1F600}.$",
    "\\n|\\t",
  ],
  ...[
    "^(?<x>a|bb){2}$",
    "^a{3}$",
    "^a{2,}b??$",
    "^\\x41\\cJ?\\/\\.$",
    "^[\\b]$",
  ],
  ...[
    "^(?!ab)[abc]*$",
    "^(?=.*1)(?!.*22)[12a]+$",
    "a|b|^".slice(0, 3),
    "^\\$$",
  ],
  ...[
    "^\\ud83d\\ude00$",
    "[\\s\\S]",
    "^[\\d-]+$",
    "^(|a)b$",
    "^[^]$",
    "^[a\\-z]$",
  ],
];
const LETTERS = [
  ...[
    "a",
    "b",
    "c",
    "1",
    "2",
    "A",
    "_",
    " ",
    "\n",
    "\t",
    "\b",
    "\0",
    '"',
    "\\",
  ],
  ...["/", ".", "$", "-", "^", "]", "é", "ü", "ÿ", "߿", "ࠀ", "\u2028", "日"],
  ...["\u{1F600}", "\u{10000}", "\u{10ffff}", "\u{ffff}", "\ue000", "\ud7ff"],
];

Deno.test("patternDfa() reads the strings in which the expression is found", () => {
  const random = seeded(5);
  const pick = (): string => LETTERS[Math.floor(random() * LETTERS.length)]!;
  let patternsFound = 0;
  for (const pattern of PATTERNS) {
    const dfa = patternDfa(pattern), expression = new RegExp(pattern, "u");
    // Letters of the expression itself, so that some are found.
    const own = [
      ...pattern.replace(/\\u\{.*?\}|\\.|[(){}?^$*+|:]/gu, ""),
      ..."ab1",
    ];
    let found = 0;
    for (let i = 0; i < 600; i++) {
      const length = Math.floor(random() * 5);
      const text = Array.from(
        { length },
        () => random() < 0.6 ? own[Math.floor(random() * own.length)]! : pick(),
      ).join("");
      const is = expression.test(text);
      found += Number(is);
      assert.equal(
        reads(dfa, bodyBytes(text)),
        is,
        `${pattern} in ${JSON.stringify(text)}`,
      );
    }
    patternsFound += Number(found > 0);
  }
  assert.ok(patternsFound > PATTERNS.length * 0.8);
});

Deno.test("patternDfa() reads each character in one spelling, and every character", () => {
  const any = patternDfa("^[^]$");
  for (let c = 0; c < 0x11000; c++) {
    const is = c < 0xd800 || c > 0xdfff;
    if (!is) continue;
    assert.ok(reads(any, bodyBytes(String.fromCodePoint(c))), `${c}`);
  }
  const bytes = (text: string) => new TextEncoder().encode(text);
  for (const other of ["\\u0041", "\\/", '"', "\\", "\n", "\\ud83d", ""]) {
    assert.ok(!reads(any, bytes(other)), other);
  }
  // Longer than it need be, a surrogate, beyond the last, cut, and a tail alone.
  for (
    const bad of [
      [0xc0, 0x80],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [
        0xf4,
        0x90,
        0x80,
        0x80,
      ],
      [0xe6, 0x97],
      [0x80],
      [0xff],
    ]
  ) assert.ok(!reads(any, bad));
});

Deno.test("patternDfa() refuses what automata cannot do", () => {
  for (
    const pattern of [
      ...["(a)\\1", "a(?=b)", "(?<=a)b", "\\bword", "\\p{L}", "^a|b", "(^a|b)"],
      ...["a$|b", "a{2000}", "a{0,1001}", "(", "[b-a]", "\\k<x>(?<x>a)"],
    ]
  ) assert.throws(() => patternDfa(pattern), PatternError, pattern);
});

Deno.test("formatPattern() has expressions that patternDfa() takes, undefined for others", () => {
  for (const name of formatNames()) patternDfa(formatPattern(name)!);
  assert.equal(formatPattern("iri"), undefined);
  const date = new RegExp(formatPattern("date")!, "u");
  for (const no of ["2023-02-29", "2023-04-31", "2023-13-01", "23-01-01"]) {
    assert.ok(!date.test(no));
  }
  assert.ok(date.test("2024-02-28"));
});
