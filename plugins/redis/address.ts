/**
 * Where a server is and who asks, out of a URL. The password stays in here: it is
 * in no message and in nothing that is printed.
 *
 * @module
 */

/** A server and a login. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly database: number;
  readonly username: string | undefined;
  /** A function, so that whoever prints an address prints no password. */
  readonly password: () => string | undefined;
  /** For messages: "redis://host:port/0". */
  readonly shown: string;
}

const WANTED =
  '"redis://[user:password@]host[:port][/database]" is wanted, or "rediss://" for TLS';

/**
 * Reads an address.
 *
 * @throws {TypeError} for anything else, with nothing that may be a password.
 */
export function parseAddress(url: string): Address {
  const u = URL.canParse(url) ? new URL(url) : undefined;
  const refuse = (why: string): never => {
    // Whatever else the text holds may be a password in the wrong place.
    const shown = u === undefined ? "" : ` at "${u.protocol}//${u.host}"`;
    throw new TypeError(`Cannot use Redis${shown}: ${why}, ${WANTED}`);
  };
  if (u === undefined) return refuse("its address is no URL");
  const tls = u.protocol === "rediss:";
  if (!tls && u.protocol !== "redis:") {
    refuse(`its scheme is "${u.protocol.slice(0, -1)}"`);
  }
  if (u.hostname === "") refuse("it names no host");
  if (u.search !== "" || u.hash !== "") refuse("it goes on after the database");
  const path = u.pathname.slice(1);
  if (!/^\d{0,5}$/.test(path)) refuse("its database is no number");
  const password = decode(u.password);
  const host = decode(u.hostname).replace(/^\[(.*)\]$/, "$1");
  const port = u.port === "" ? 6379 : Number(u.port);
  return {
    host,
    port,
    tls,
    database: Number(path),
    username: decode(u.username) || undefined,
    password: () => password || undefined,
    shown: `${u.protocol}//${u.hostname}:${port}/${Number(path)}`,
  };
}

/** A message without the password, should somebody have put it there. */
export function withoutPassword(message: string, at: Address): string {
  const password = at.password();
  return password === undefined ? message : message.replaceAll(password, "***");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
