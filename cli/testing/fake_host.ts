/**
 * A {@linkcode Host} whose streams are texts.
 *
 * @module
 */
import type { Host } from "../host.ts";

/** What a {@linkcode FakeHost} starts from. */
export interface FakeSettings {
  /** What standard input says, line by line. */
  readonly lines?: readonly string[];
  /** Whether someone is there to type more, but does not. */
  readonly silence?: boolean;
  /** Streams that are terminals; default none. */
  readonly terminal?: Partial<Host["terminal"]>;
  /** Called with each text that is written to standard output. */
  readonly onOut?: (text: string, host: FakeHost) => void;
  /** Called with each text that is written to standard error. */
  readonly onErr?: (text: string, host: FakeHost) => void;
  readonly columns?: number;
  /** Bytes of memory that are free; default: nobody may ask. */
  readonly memory?: number;
}

/** Collects what is written, plays what is typed. */
export class FakeHost implements Host {
  /** All of standard output and of standard error. */
  stdout = "";
  stderr = "";
  /** What `exit()` was called with. */
  exited: number | undefined;
  /** What `now()` says, milliseconds. */
  time = 0;
  readonly terminal: Host["terminal"];
  readonly #settings: FakeSettings;
  readonly #handlers: (() => void)[] = [];

  constructor(settings: FakeSettings = {}) {
    this.#settings = settings;
    this.terminal = { in: false, out: false, err: false, ...settings.terminal };
  }

  out(text: string): void {
    this.stdout += text;
    this.#settings.onOut?.(text, this);
  }

  err(text: string): void {
    this.stderr += text;
    this.#settings.onErr?.(text, this);
  }

  columns(): number {
    return this.#settings.columns ?? 80;
  }

  async *lines(): AsyncGenerator<string, undefined> {
    yield* await Promise.resolve(this.#settings.lines ?? []);
    if (this.#settings.silence) await new Promise(() => {});
  }

  onInterrupt(handler: () => void): Disposable {
    this.#handlers.push(handler);
    return {
      [Symbol.dispose]: () => {
        this.#handlers.splice(this.#handlers.lastIndexOf(handler), 1);
      },
    };
  }

  exit(status: number): void {
    this.exited = status;
  }

  now(): number {
    return this.time;
  }

  freeMemory(): number | undefined {
    return this.#settings.memory;
  }

  /** Handlers that wait for Ctrl-C. */
  get listening(): number {
    return this.#handlers.length;
  }

  /** Presses Ctrl-C. */
  interrupt(): void {
    this.#handlers.at(-1)?.();
  }
}
