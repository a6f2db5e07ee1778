/**
 * One connection to a server, made when it is wanted and again when it broke.
 *
 * Whoever asks decides how long to wait and when to try again; the client library
 * neither waits nor reconnects by itself. A connection on which anything unexpected
 * was heard is closed: what comes after cannot be told apart.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Address, withoutPassword } from "./address.ts";

/** Sends one command. Those sent in one go travel together, answers come in order. */
export type Send = (
  args: readonly (string | Uint8Array)[],
) => Promise<unknown>;

/** A way to a server. */
export interface Link {
  /** What sends on the connection there is, or on a new one. */
  open(): Promise<Send>;
  /** Closes the connection; what waits for an answer fails. */
  reset(): void;
  /** Closes it for good and waits until nothing is left of it. */
  close(): Promise<void>;
}

/** The server understood and said no. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** What a link uses of the client. */
interface Client {
  on(event: "error", listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  destroy(): void;
  unref(): void;
  sendCommand(args: (string | Buffer)[]): Promise<unknown>;
}

/** A connection, or one that is being made. */
interface Connection {
  client?: Client;
  readonly sending: Promise<Send>;
}

/** A link over `@redis/client`. */
export class RedisLink implements Link {
  readonly #at: Address;
  readonly #connectMs: number;
  #current: Connection | undefined;
  /** Connections that are being made or taken down. */
  readonly #pending = new Set<Promise<unknown>>();
  /** Whether an error is what the server itself says. */
  #saidNo: (error: unknown) => boolean = () => false;
  #closed = false;

  /** Makes it; nothing is connected yet. */
  constructor(at: Address, connectMs: number) {
    this.#at = at;
    this.#connectMs = connectMs;
  }

  /** See {@linkcode Link.open}. */
  open(): Promise<Send> {
    if (this.#closed) return Promise.reject(new Error("it is closed"));
    return (this.#current ??= this.#connect()).sending;
  }

  /** See {@linkcode Link.reset}. */
  reset(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.client?.destroy();
  }

  /** See {@linkcode Link.close}. */
  async close(): Promise<void> {
    this.#closed = true;
    this.reset();
    await Promise.allSettled(this.#pending);
  }

  #connect(): Connection {
    const made: Connection = {
      sending: Promise.resolve().then(async () => {
        const client = await this.#create();
        made.client = client;
        let why: Error | undefined;
        client.on("error", (error) => {
          why ??= error;
          if (this.#current === made) this.#current = undefined;
          client.destroy();
        });
        // Whoever waits for an answer holds a timer; a connection alone holds nothing.
        client.unref();
        try {
          if (this.#current !== made) throw new Error("it was closed");
          await client.connect();
          // One that is closed while it is made opens all the same.
          if (this.#current !== made) throw new Error("it was closed");
        } catch (error) {
          client.destroy();
          throw why ?? error;
        }
        return (args: Parameters<Send>[0]) => this.#send(client, args);
      }).catch((error: unknown) => {
        if (this.#current === made) this.#current = undefined;
        throw this.#plain(error);
      }),
    };
    const settled = made.sending.then(() => {}, () => {});
    this.#pending.add(settled);
    settled.finally(() => this.#pending.delete(settled));
    return made;
  }

  #send(
    client: Client,
    args: readonly (string | Uint8Array)[],
  ): Promise<unknown> {
    return client.sendCommand(
      args.map((a) =>
        typeof a === "string"
          ? a
          : Buffer.from(a.buffer, a.byteOffset, a.byteLength)
      ),
    ).catch((error: unknown) => {
      throw this.#plain(error);
    });
  }

  /** Without the password, and told apart by who says so. */
  #plain(error: unknown): Error {
    const message = error instanceof Error ? error.message : String(error);
    const text = withoutPassword(message, this.#at);
    return this.#saidNo(error) ? new Refused(text) : new Error(text);
  }

  async #create(): Promise<Client> {
    const library = await import("npm:@redis/client@6.3.1");
    this.#saidNo = (error) => error instanceof library.ErrorReply;
    const at = this.#at, username = at.username, password = at.password();
    const socket = {
      host: at.host,
      port: at.port,
      connectTimeout: this.#connectMs,
      reconnectStrategy: false as const,
    };
    return library.createClient({
      RESP: 2,
      database: at.database,
      ...username === undefined ? {} : { username },
      ...password === undefined ? {} : { password },
      socket: at.tls ? { ...socket, tls: true as const } : socket,
      disableOfflineQueue: true,
      disableClientInfo: true,
      // It reads the environment otherwise, which would want a permission.
      maintNotifications: "disabled",
      commandOptions: {
        // 0: no timer for each command.
        timeout: 0,
        typeMapping: { [library.RESP_TYPES.BLOB_STRING]: Buffer },
      },
    }) as unknown as Client;
  }
}
