/**
 * What each client of a load does, the same in every run.
 *
 * @module
 */

/** One request of a client. */
export interface Wanted {
  readonly content: string;
  readonly maxTokens: number;
  /** Leaves after so many pieces; undefined: stays to the end. */
  readonly leavesAfter: number | undefined;
}

const TOPICS = ["rivers", "trains", "bread", "the moon", "old maps", "whales"];

/** What client number `client` asks as its n-th request. `share`: of those that leave. */
export function wantedBy(client: number, n: number, share: number): Wanted {
  const random = mixed(client * 100_003 + n);
  const topic = TOPICS[Math.floor(random() * TOPICS.length)];
  const leaves = random() < share;
  return {
    content: `Client ${client}, question ${n}: tell me about ${topic}.`,
    maxTokens: 16 + Math.floor(random() * 48),
    leavesAfter: leaves ? 1 + Math.floor(random() * 12) : undefined,
  };
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function mixed(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
