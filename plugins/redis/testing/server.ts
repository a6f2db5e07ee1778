/**
 * A real server for tests, on a port of its own, in a folder of its own.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createClient } from "npm:@redis/client@6.3.1";
import { findServers } from "./find_server.ts";

function granted(what: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(what).state === "granted";
}

const servers = findServers();
const found = servers.find((command) => granted({ name: "run", command }));

/** Whether tests may listen and connect on this machine. */
export const mayListen: boolean = granted({ name: "net", host: "127.0.0.1" });

const missing = !mayListen
  ? "--allow-net=127.0.0.1"
  : found !== undefined
  ? undefined
  : servers.length === 0
  ? "redis-server on PATH"
  : `--allow-run=${servers[0]}`;

/** Registers a test that needs a server; ignored, with the reason, where none is. */
export function redisTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: missing === undefined ? name : `${name} (needs ${missing})`,
    ignore: missing !== undefined,
    fn,
  });
}

/** A port that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Arguments of the server, as "--maxmemory". */
export type Settings = Readonly<Record<string, string>>;

/** One server. */
export class TestServer {
  /** Where it is, also after a restart. */
  readonly port: number;
  readonly #settings: Settings;
  readonly #folder = Deno.makeTempDirSync({ prefix: "redis-" });
  #child: Deno.ChildProcess | undefined;

  private constructor(settings: Settings) {
    this.#settings = settings;
    this.port = settings.port === undefined
      ? freePort()
      : Number(settings.port);
  }

  /** Starts one and waits until it answers. */
  static async start(settings: Settings = {}): Promise<TestServer> {
    const server = new TestServer(settings);
    await server.start();
    return server;
  }

  /** For a client. */
  get url(): string {
    const password = this.#settings.requirepass;
    const login = password === undefined ? "" : `:${password}@`;
    return `redis://${login}127.0.0.1:${this.port}`;
  }

  /** Starts it again. */
  async start(): Promise<void> {
    const settings = {
      port: String(this.port),
      bind: "127.0.0.1",
      save: "",
      appendonly: "no",
      dir: this.#folder,
      ...this.#settings,
    };
    const args = Object.entries(settings).flatMap(([k, v]) => [`--${k}`, v]);
    this.#child = new Deno.Command(found!, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let tries = 0; tries < 200; tries++) {
      try {
        await this.command("PING");
        return;
      } catch {
        await new Promise((done) => setTimeout(done, 25));
      }
    }
    throw new Error("The test server did not start");
  }

  /** Kills it; nothing of it is kept. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    await child.status;
  }

  /** Keeps it from doing anything until it is thawed. */
  freeze(): void {
    this.#child!.kill("SIGSTOP");
  }

  /** Lets it go on. */
  thaw(): void {
    try {
      this.#child?.kill("SIGCONT");
    } catch {
      // It was killed meanwhile.
    }
  }

  /** Sends one command on a connection of its own. */
  async command(...args: (string | Uint8Array)[]): Promise<unknown> {
    return await this.#send(this.url, args);
  }

  /** The same with another password. */
  async commandAs(
    password: string,
    ...args: (string | Uint8Array)[]
  ): Promise<unknown> {
    return await this.#send(
      `redis://:${password}@127.0.0.1:${this.port}`,
      args,
    );
  }

  async #send(
    url: string,
    args: readonly (string | Uint8Array)[],
  ): Promise<unknown> {
    const client = createClient({
      url,
      RESP: 2,
      disableClientInfo: true,
      maintNotifications: "disabled",
      socket: { reconnectStrategy: false },
      commandOptions: { timeout: 0 },
    });
    client.on("error", () => {});
    try {
      await client.connect();
      return await client.sendCommand(
        args.map((a) => typeof a === "string" ? a : Buffer.from(a)),
      );
    } finally {
      client.destroy();
    }
  }

  /** Names of all values, or of those like a pattern. */
  async names(pattern: string = "*"): Promise<string[]> {
    return await this.command("KEYS", pattern) as string[];
  }

  /** Stops it and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
