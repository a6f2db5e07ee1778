import assert from "node:assert/strict";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  it,
} from "@std/testing/bdd";

const order: string[] = [];

describe("bdd", () => {
  beforeAll(() => void order.push("beforeAll"));
  beforeEach(() => void order.push("beforeEach"));
  afterEach(() => void order.push("afterEach"));
  afterAll(() => {
    assert.deepEqual(order, [
      "beforeAll",
      ...["beforeEach", "one", "afterEach"],
      ...["beforeEach", "two", "afterEach"],
    ]);
  });
  it("runs a test between its hooks", () => void order.push("one"));
  describe("inside", () => {
    it("runs the hooks of the groups around", () => void order.push("two"));
  });
});
