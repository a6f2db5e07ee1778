/**
 * The log of a disk tier: whatever is in it, reading it throws nothing, and every
 * record that comes out is one that stands there whole.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import {
  isLog,
  logHead,
  logRecord,
  RECORD,
  replay,
} from "../../plugins/disk/log.ts";
import { bendBytes, type Field, howMany } from "./bytes.ts";
import { claim, type Sample, type Target } from "./target.ts";

const NAME = "index.log", RECORDS = 8;

function seed(): Sample {
  const out = new Uint8Array(RECORD * (RECORDS + 1));
  out.set(logHead());
  for (let i = 0; i < RECORDS; i++) {
    const key = (i % 5).toString(16).padStart(64, "a");
    const place = { segment: i, pages: 3, slot: i % 2, length: 4000 + i };
    out.set(
      logRecord({ key, place: i % 3 === 2 ? undefined : place }),
      RECORD * (i + 1),
    );
  }
  return new Map([[NAME, out]]);
}

const FIELDS: readonly Field[] = Array.from(
  { length: (RECORDS + 1) * 6 },
  (_, i) => ({ at: Math.floor(i / 6) * RECORD + i % 6 * 4, bytes: 4 as const }),
);

/** `index.log`. */
export const diskLog: Target = {
  name: "disk log",
  weight: 1,
  seeds: () => Promise.resolve([seed()]),
  mutate(seeds, r) {
    const bytes = r.pick(seeds).get(NAME)!;
    const bent = bendBytes(bytes, r, FIELDS, bytes, howMany(r));
    // Whoever forges a record can compute a checksum too.
    for (let at = 0; at + RECORD <= bent.length && r.once(2); at += RECORD) {
      new DataView(bent.buffer).setUint32(
        at,
        crc32(bent.subarray(at + 4, at + RECORD)),
        true,
      );
    }
    return new Map([[NAME, bent]]);
  },
  read(sample) {
    const bytes = sample.get(NAME)!;
    if (!isLog(bytes)) return Promise.resolve("it is no log");
    const { end, records } = replay(bytes);
    claim(
      end >= RECORD && end <= bytes.length && end % RECORD === 0,
      `it ends at ${end}`,
    );
    let sound = 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = RECORD; at + RECORD <= bytes.length; at += RECORD) {
      if (
        view.getUint32(at, true) !== crc32(bytes.subarray(at + 4, at + RECORD))
      ) continue;
      if (![2, 3].includes(view.getUint32(at + 4, true))) continue;
      const record = records[sound++];
      claim(
        record?.key === bytes.subarray(at + 32, at + RECORD).toHex(),
        "another key",
      );
      const place = record.place;
      const words = [8, 12, 16, 20].map((o) => view.getUint32(at + o, true));
      claim(
        place === undefined
          ? view.getUint32(at + 4, true) === 3
          : `${[place.segment, place.pages, place.slot, place.length]}` ===
            `${words}`,
        "another place",
      );
    }
    claim(sound === records.length, "records that are not there");
    return Promise.resolve(undefined);
  },
};
