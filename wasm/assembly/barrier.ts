// Where workers meet, and how they wait for others.

/** Where workers meet: { arrived, generation, sleepers, -, -, -, spins }. */
export function barrier(sync: usize, threads: i32): void {
  if (threads == 1) return;
  const most = load<i32>(sync, 24);
  const now = atomic.load<i32>(sync, 4);
  if (atomic.add<i32>(sync, 1) == threads - 1) {
    atomic.store<i32>(sync, 0);
    atomic.store<i32>(sync, now + 1, 4);
    if (atomic.load<i32>(sync, 8) != 0) atomic.notify(sync + 4, threads);
    return;
  }
  for (let spins = 0; atomic.load<i32>(sync, 4) == now; spins++) {
    if (spins < most) continue;
    // Someone lost its core: sleep, for at most a millisecond at a time.
    atomic.add<i32>(sync, 1, 8);
    atomic.wait<i32>(sync + 4, now, 1000000);
    atomic.sub<i32>(sync, 1, 8);
  }
}

/**
 * Waits until the word at `at` is `value`. Whoever writes it wakes the waiting; it may
 * need this core to get there, so there is little spinning.
 */
export function waitFor(at: usize, value: i32): void {
  for (let spins = 0;; spins++) {
    const now = atomic.load<i32>(at);
    if (now == value) return;
    if (spins >= 200) atomic.wait<i32>(at, now, 1000000);
  }
}
