/**
 * How a block lies in a segment file. `slotFormat` is sent to workers as text, so
 * that starting one needs no permission; it may use nothing outside its own body.
 *
 * ```text
 * segment file: pages of 4 KiB
 *  | head | slot 0                          | slot 1 …
 *         | head, 1 page or more | the block's bytes, to the end of a page |
 *
 * head of a segment, u32 words in the machine's own byte order
 *  0 CRC of words 1..7 | 1..2 "QUIRESEG" | 3 version | 4 byte order
 *  5 number | 6 pages of a slot, its head among them | 7 zero
 *
 * head of a slot
 *  0 CRC of all of it from word 1 on | 1..2 "QUIRSLOT" | 3 version | 4 byte order
 *  5 bytes of the block | 6 CRC of them | 7 zero
 *  8..15 key | 16..23 fingerprint | 24.. CRC of each page of the block
 * ```
 * A slot says all by itself what is in it. Whoever reads one that is being written
 * anew, or half written, or not what the index says, sees that it is not whole.
 *
 * @module
 */

/** Bytes of a page: what slots begin at, and what a part that is read is checked by. */
export const PAGE = 4096;

/** Name of a segment file, of its number and the pages of its slots. */
export function segmentName(number: number, pages: number): string {
  return `${number}-${pages}.seg`;
}

/** The way back; undefined for any other name. */
export function parseSegmentName(
  name: string,
): { number: number; pages: number } | undefined {
  const match = /^(0|[1-9]\d{0,8})-([2-9]|[1-9]\d{1,6})\.seg$/.exec(name);
  if (match === null) return undefined;
  return { number: Number(match[1]), pages: Number(match[2]) };
}

/** Pages of the slot that a block of so many bytes needs. */
export function slotPages(length: number): number {
  const data = Math.ceil(length / PAGE);
  return Math.ceil((96 + 4 * data) / PAGE) + data;
}

/** What reads and writes heads. */
export interface SlotFormat {
  /** CRC32 as zlib has it. */
  crc(bytes: Uint8Array, before?: number): number;
  /** Bytes of the head of a block's slot. */
  headBytes(length: number): number;
  /** First page of a segment. */
  segmentHead(number: number, pages: number): Uint8Array;
  /** Where a slot begins in its segment. */
  slotAt(pages: number, slot: number): number;
  /** Writes the head of a slot. Key and fingerprint: 64 hexadecimal digits. */
  seal(head: Uint8Array, data: Uint8Array, key: string, print: string): void;
  /** Whether a head is whole and of this block. */
  matches(
    head: Uint8Array,
    length: number,
    key: string,
    print: string,
  ): boolean;
  /** Whether this is the CRC of all of the block. */
  whole(head: Uint8Array, crc: number): boolean;
  /** Whether some of its pages, from this one on, are as they were written. */
  pagesWhole(head: Uint8Array, page: number, data: Uint8Array): boolean;
}

/** Makes it of zlib's function. Heads have to begin at a multiple of 4 in memory. */
export function slotFormat(crc: SlotFormat["crc"]): SlotFormat {
  const PAGE = 4096, TABLE = 96, VERSION = 1, ORDER = 0x01020304;
  const words = (bytes: Uint8Array): Uint32Array =>
    new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  const write = (bytes: Uint8Array, at: number, text: string): void => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  /** Of a digit's code: letters are 39 further on. */
  const nibble = (code: number): number => code < 58 ? code - 48 : code - 87;
  const writeHex = (bytes: Uint8Array, at: number, hex: string): void => {
    for (let i = 0; i < 32; i++) {
      bytes[at + i] = nibble(hex.charCodeAt(2 * i)) << 4 |
        nibble(hex.charCodeAt(2 * i + 1));
    }
  };
  const headBytes = (length: number): number =>
    Math.ceil((TABLE + 4 * Math.ceil(length / PAGE)) / PAGE) * PAGE;
  /** All of a head but its CRC and those of the pages. */
  const begin = (
    head: Uint8Array,
    length: number,
    key: string,
    print: string,
  ): void => {
    head.fill(0);
    write(head, 4, "QUIRSLOT");
    const w = words(head);
    w[3] = VERSION;
    w[4] = ORDER;
    w[5] = length;
    writeHex(head, 32, key);
    writeHex(head, 64, print);
  };
  const wanted = new Uint8Array(TABLE);
  return {
    crc,
    headBytes,
    segmentHead(number, pages) {
      const head = new Uint8Array(PAGE);
      write(head, 4, "QUIRESEG");
      const w = words(head);
      w[3] = VERSION;
      w[4] = ORDER;
      w[5] = number;
      w[6] = pages;
      w[0] = crc(head.subarray(4, 32));
      return head;
    },
    slotAt: (pages, slot) => PAGE * (1 + pages * slot),
    seal(head, data, key, print) {
      begin(head, data.length, key, print);
      const w = words(head);
      w[6] = crc(data);
      for (let at = 0, i = TABLE / 4; at < data.length; at += PAGE) {
        w[i++] = crc(data.subarray(at, at + PAGE));
      }
      w[0] = crc(head.subarray(4));
    },
    matches(head, length, key, print) {
      if (head.length !== headBytes(length)) return false;
      const w = words(head);
      if (w[0] !== crc(head.subarray(4))) return false;
      begin(wanted, length, key, print);
      const v = words(wanted);
      for (let i = 1; i < v.length; i++) {
        if (i !== 6 && v[i] !== w[i]) return false;
      }
      return true;
    },
    whole: (head, sum) => words(head)[6] === sum,
    pagesWhole(head, page, data) {
      const w = words(head);
      for (let at = 0, i = TABLE / 4 + page; at < data.length; at += PAGE) {
        if (w[i++] !== crc(data.subarray(at, at + PAGE))) return false;
      }
      return true;
    },
  };
}
