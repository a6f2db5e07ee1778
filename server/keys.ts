/**
 * API keys, compared in constant time.
 *
 * @module
 */

/** Knows keys by their digests. */
export class Keys {
  readonly #digests: Promise<readonly Uint8Array[]>;
  /** Whether any key is asked for. */
  readonly wanted: boolean;

  /** Keys as clients send them; they are not kept. */
  constructor(keys: readonly string[]) {
    this.wanted = keys.length > 0;
    this.#digests = Promise.all(keys.map(digest));
  }

  /**
   * Who a key belongs to, a name that does not tell the key; undefined for nobody.
   * Takes as long for every key: all digests are compared, whole.
   */
  async ownerOf(key: string): Promise<string | undefined> {
    const [given, known] = await Promise.all([digest(key), this.#digests]);
    let found = -1;
    for (const [i, want] of known.entries()) {
      let differs = 0;
      for (let b = 0; b < want.length; b++) differs |= want[b]! ^ given[b]!;
      found = differs === 0 ? i : found;
    }
    return found < 0 ? undefined : `key-${known[found]!.slice(0, 4).toHex()}`;
  }
}

async function digest(text: string): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
