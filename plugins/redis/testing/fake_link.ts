/**
 * A server in this process that does as it is told, and wrong where it is told so.
 *
 * @module
 */
import type { Link, Send } from "../link.ts";

/** How it behaves. */
export type Mode =
  | "up"
  /** Takes no connections, breaks those there are. */
  | "down"
  /** Answers nothing. */
  | "silent";

/** Values, and what happens to them. Several links may lead to it. */
export class FakeServer {
  /** What is kept. */
  readonly values = new Map<string, Uint8Array>();
  /** All commands that arrived, by their first word. */
  readonly heard: string[] = [];
  /** Names that were given a time to live. */
  readonly expires = new Map<string, string>();
  /** How it behaves. */
  mode: Mode = "up";
  /** What it answers instead, undefined for the right thing. May throw. */
  answer: ((args: readonly string[]) => unknown) | undefined;
  /** Connections that were made. */
  connections = 0;

  /** A way to it. */
  link(): Link {
    let mine = new Set<(error: Error) => void>();
    const reset = (): void => {
      for (const fail of mine) fail(new Error("it was closed"));
      mine = new Set();
      open = undefined;
    };
    let open: Promise<Send> | undefined;
    const connect = async (): Promise<Send> => {
      await Promise.resolve();
      if (this.mode === "down") {
        open = undefined;
        throw new Error("nobody listens");
      }
      this.connections++;
      return async (args) => {
        await Promise.resolve();
        if (this.mode === "down") {
          reset();
          throw new Error("it broke");
        }
        if (this.mode === "up") return this.#execute(args);
        return await new Promise((_, reject) => mine.add(reject));
      };
    };
    return {
      open: () => open ??= connect(),
      reset,
      close: () => Promise.resolve(reset()),
    };
  }

  #execute(args: readonly (string | Uint8Array)[]): unknown {
    const words = args.map((a) => typeof a === "string" ? a : "");
    const [command, name = ""] = words;
    this.heard.push(command!);
    const other = this.answer?.(words);
    if (other !== undefined) return other;
    switch (command) {
      case "PING":
        return "PONG";
      case "EXISTS":
        return this.values.has(name) ? 1 : 0;
      case "GETEX":
        this.expires.set(name, words[3]!);
        return this.values.get(name) ?? null;
      case "GET":
        return this.values.get(name) ?? null;
      case "MGET":
        return words.slice(1).map((n) => this.values.get(n) ?? null);
      case "SET":
        if (words.includes("NX") && this.values.has(name)) return null;
        if (words.includes("EX")) {
          this.expires.set(name, words[words.indexOf("EX") + 1]!);
        }
        this.values.set(name, args[2] as Uint8Array);
        return "OK";
      case "UNLINK":
        return words.slice(1).filter((n) => this.values.delete(n)).length;
      default:
        throw new Error(`The fake server knows no "${command}"`);
    }
  }
}
