/**
 * A stand-in for the part of `@std/testing/mock` that counts calls.
 *
 * @module
 */

import assert from "node:assert/strict";

/** One call of a spy. */
export interface SpyCall<Args extends unknown[], Return> {
  /** What it was called with. */
  args: Args;
  /** What it returned, if it did. */
  returned?: Return;
  /** What it threw, if it did. */
  error?: unknown;
}

/** A function that keeps its calls. */
export interface Spy<Args extends unknown[], Return> {
  (...args: Args): Return;
  /** The calls so far. */
  readonly calls: SpyCall<Args, Return>[];
}

/** A method that was replaced for a while. */
export interface Stub<Args extends unknown[], Return>
  extends Spy<Args, Return>, Disposable {
  /** Puts the replaced method back. */
  restore(): void;
}

type Method<T, K extends keyof T> = T[K] extends (...args: infer A) => infer R
  ? (...args: A) => R
  : never;

/** Wraps `body`, or a function that does nothing, so that its calls are kept. */
export function spy<Args extends unknown[] = unknown[], Return = undefined>(
  body?: (...args: Args) => Return,
): Spy<Args, Return> {
  const calls: SpyCall<Args, Return>[] = [];
  function spied(this: unknown, ...args: Args): Return {
    const call: SpyCall<Args, Return> = { args };
    calls.push(call);
    try {
      return call.returned = body?.apply(this, args) as Return;
    } catch (error) {
      call.error = error;
      throw error;
    }
  }
  return Object.assign(spied, { calls });
}

/** Replaces the method `name` of `target` by `body`, or by nothing, until restored. */
export function stub<T extends object, K extends keyof T>(
  target: T,
  name: K,
  body?: Method<T, K>,
): Stub<Parameters<Method<T, K>>, ReturnType<Method<T, K>>> {
  const before = Object.getOwnPropertyDescriptor(target, name);
  const spied = spy(
    body as
      | ((...args: Parameters<Method<T, K>>) => ReturnType<Method<T, K>>)
      | undefined,
  );
  Object.defineProperty(target, name, {
    value: spied,
    configurable: true,
    writable: true,
  });
  const restore = (): void => {
    if (before === undefined) delete target[name];
    else Object.defineProperty(target, name, before);
  };
  return Object.assign(spied, { restore, [Symbol.dispose]: restore });
}

/** Fails unless `spied` was called `count` times. */
export function assertSpyCalls<Args extends unknown[], Return>(
  spied: Spy<Args, Return>,
  count: number,
): void {
  assert.equal(spied.calls.length, count, `Expected ${count} calls of the spy`);
}
