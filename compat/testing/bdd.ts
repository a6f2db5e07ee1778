/**
 * A stand-in for `@std/testing/bdd`: the words of Node's own test runner, which
 * Deno has too, under the names that package gives them.
 *
 * @module
 */

import {
  after as afterAll,
  afterEach,
  before as beforeAll,
  beforeEach,
  describe as suite,
  it as test,
} from "node:test";

/** What a test or a group runs. */
export type TestBody = () => void | Promise<void>;

/** Registers a test or a group. */
export interface Register {
  (name: string, body: TestBody): void;
  /** Registers it and runs no other. */
  only(name: string, body: TestBody): void;
  /** Registers it without running it. */
  ignore(name: string, body: TestBody): void;
  /** The same as `ignore`. */
  skip(name: string, body: TestBody): void;
}

/** Registers a group of tests. */
export const describe: Register = Object.assign(
  (name: string, body: TestBody): void => void suite(name, body),
  {
    only: (name: string, body: TestBody): void => void suite.only(name, body),
    ignore: (name: string, body: TestBody): void => void suite.skip(name, body),
    skip: (name: string, body: TestBody): void => void suite.skip(name, body),
  },
);

/** Registers a test. */
export const it: Register = Object.assign(
  (name: string, body: TestBody): void => void test(name, body),
  {
    only: (name: string, body: TestBody): void => void test.only(name, body),
    ignore: (name: string, body: TestBody): void => void test.skip(name, body),
    skip: (name: string, body: TestBody): void => void test.skip(name, body),
  },
);

export { afterAll, afterEach, beforeAll, beforeEach };
export { afterAll as after, beforeAll as before, it as test };
