// The largest logits of a row, found by the workers over their shares, which they scale
// and cap first.
import { softCap } from "./cap";

@unmanaged
export class Top {
  kind: i32;
  flags: i32;
  logits: usize;
  stride: usize;
  vocab: i32;
  /** Address of how many to find. */
  count: usize;
  /** [row][worker][most]{ id, logit }, best first. */
  shares: usize;
  most: i32;
  /** [row][most] ids, then [row][most] logits at `values`. */
  ids: usize;
  values: usize;
  rows: usize;
  /** What logits are multiplied by, and their soft cap, 0 for none. */
  scale: f32;
  cap: f32;
}

/** The best `count` of [from, to), best first, ties by lower id. */
export function topShare(a: Top, thread: i32, threads: i32): void {
  const rows = load<i32>(a.rows), count = load<i32>(a.count);
  const vectors = (a.vocab + 3) >> 2;
  const from = (vectors * thread / threads) << 2;
  const end = (vectors * (thread + 1) / threads) << 2;
  const to = min(end, a.vocab);
  if (a.scale != 1 || a.cap != 0) {
    for (let r = 0; r < rows; r++) {
      const p = a.logits + <usize> r * a.stride + (<usize> from << 2);
      softCap(p, end - from, a.scale, a.cap);
    }
  }
  if (count == 0) return;
  for (let r = 0; r < rows; r++) {
    const p = a.logits + <usize> r * a.stride;
    const out = a.shares + (<usize> ((r * threads + thread) * a.most) << 3);
    let held = 0, least: f32 = -Infinity;
    for (let i = from; i < to; i += 4) {
      const v = v128.load(p + (<usize> i << 2));
      if (held == count && !v128.any_true(f32x4.gt(v, f32x4.splat(least)))) {
        continue;
      }
      const n = min(4, to - i);
      for (let j = 0; j < n; j++) {
        const x = load<f32>(p + (<usize> (i + j) << 2));
        // NaN is no candidate: a row of nothing else has none.
        if (x != x || (held == count && !(x > least))) continue;
        let k = held < count ? held++ : count - 1;
        while (k > 0 && load<f32>(out + (<usize> (k - 1) << 3), 4) < x) {
          store<u64>(
            out + (<usize> k << 3),
            load<u64>(out + (<usize> (k - 1) << 3)),
          );
          k--;
        }
        store<i32>(out + (<usize> k << 3), i + j);
        store<f32>(out + (<usize> k << 3), x, 4);
        least = load<f32>(out + (<usize> (held - 1) << 3), 4);
      }
    }
    if (held < a.most) store<i32>(out + (<usize> held << 3), -1);
  }
}

/** Merges the workers' shares. Lower workers hold lower ids, so ties keep order. */
export function topMerge(a: Top, threads: i32, from: i32, to: i32): void {
  const count = load<i32>(a.count);
  for (let r = from; r < to; r++) {
    const base = a.shares + (<usize> (r * threads * a.most) << 3);
    for (let k = 0; k < count; k++) {
      let best: usize = 0;
      for (let t = 0; t < threads; t++) {
        const share = base + (<usize> (t * a.most) << 3);
        const head = head4(share, a.most);
        if (head == 0) continue;
        if (best == 0 || load<f32>(head, 4) > load<f32>(best, 4)) best = head;
      }
      const i = <usize> (r * a.most + k) << 2;
      if (best == 0) {
        store<i32>(a.ids + i, -1);
        store<f32>(a.values + i, -Infinity);
        continue;
      }
      store<i32>(a.ids + i, load<i32>(best));
      store<f32>(a.values + i, load<f32>(best, 4));
      store<i32>(best, -2);
    }
  }
}

/** The first entry of a share not taken yet, or 0. */
function head4(share: usize, most: i32): usize {
  for (let k = 0; k < most; k++) {
    const p = share + (<usize> k << 3), id = load<i32>(p);
    if (id == -1) return 0;
    if (id != -2) return p;
  }
  return 0;
}
