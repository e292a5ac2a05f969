/**
 * Broker URLs: what they mean, and which part of them may be shown.
 *
 * Pure. A URL is `nats://USER:PASSWORD@HOST:PORT`, `nats://TOKEN@HOST:PORT` or
 * `nats://HOST:PORT`; `tls://` demands TLS. Everything before the last `@` is
 * a secret, whatever characters it contains, and is never shown.
 */
import { PoolError } from "../errors.js";

/** The credentials for a broker. */
export type BrokerCredential = { readonly user: string; readonly password: string } | { readonly token: string };

/** One broker of a list. */
export interface BrokerAddress {
  /** Host and port, such as "127.0.0.1:4222" or "[::1]:4222". */
  readonly address: string;
  /** Whether the URL demands TLS. */
  readonly tls: boolean;
  /** The credentials in the URL; undefined when there are none. */
  readonly credential: BrokerCredential | undefined;
}

const DEFAULT_PORT = 4222;
const SCHEME = /^(nats|tls|wss?|https?):\/\//i;
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})(?::(\d{1,5}))?\/?$/i;
/** As much of a text as looks like a host and a port. */
const SHOWN_HOST = /^(\[[0-9a-f:.]*\]|[\w.-]*)(:\d{0,5}\/?$)?/i;
const NEXT_URL = /,\s*(?=[a-z]{2,5}:\/\/)/i;

/**
 * The URLs of a list that is joined by commas. A comma inside a user, password
 * or token is written `%2C`.
 *
 * @throws PoolError `invalid_argument`, field "servers": a list whose commas can be read in two ways
 */
export function splitBrokerUrls(list: string): string[] {
  return list.split(NEXT_URL).flatMap((text) => {
    const at = text.lastIndexOf("@");
    if (text.slice(0, Math.max(at, 0)).includes(",")) {
      throw refused('an "@" after a comma: write a comma in a secret as %2C, and a scheme before each URL');
    }
    const [first = "", ...rest] = text.slice(at + 1).split(",");
    return [text.slice(0, at + 1) + first, ...rest].map((each) => each.trim());
  });
}

/**
 * The meaning of one URL. Without a scheme it is `nats://`, without a port 4222.
 *
 * @throws PoolError `invalid_argument`, field "servers"; the message shows nothing of the URL
 */
export function parseBrokerUrl(url: string): BrokerAddress {
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase() ?? "nats";
  if (scheme !== "nats" && scheme !== "tls") throw refused("use URLs such as nats://127.0.0.1:4222");
  const rest = url.replace(SCHEME, "");
  const at = rest.lastIndexOf("@");
  const host = HOST.exec(rest.slice(at + 1));
  const port = Number(host?.[2] ?? DEFAULT_PORT);
  if (host === null || port < 1 || port > 65_535) throw refused("use URLs such as nats://127.0.0.1:4222");
  const credential = at <= 0 ? undefined : toCredential(rest.slice(0, at));
  return { address: `${host[1]?.toLowerCase()}:${port}`, tls: scheme === "tls", credential };
}

/**
 * Broker URLs as they may be shown: without anything that stands before the last `@`, also when it is written `%40`.
 * Where a host and a port should be, all else may be a password whose host was forgotten: it is "…".
 */
export function redactUrls(urls: readonly string[]): string[] {
  return urls.map((url) => {
    const scheme = SCHEME.exec(url)?.[0] ?? "";
    const rest = url.slice(scheme.length).split(/@|%40/).at(-1) ?? "";
    const [host] = SHOWN_HOST.exec(rest) ?? [""];
    return `${scheme}${host}${host.length === rest.length ? "" : "…"}`;
  });
}

function toCredential(text: string): BrokerCredential {
  const colon = text.indexOf(":");
  if (colon === -1) return { token: decode(text) };
  return { user: decode(text.slice(0, colon)), password: decode(text.slice(colon + 1)) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused("write a % in a user, password or token as %25");
  }
}

function refused(why: string): PoolError {
  return new PoolError("invalid_argument", why, { field: "servers" });
}
