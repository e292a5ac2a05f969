/** What a program says of its connection to the broker. */
import type { Logger } from "../../process/log.js";

/** How to reach the broker. */
export interface BusOptions {
  /** URLs; default "nats://127.0.0.1:4222". A user and password in one are used and never logged. */
  servers?: string | readonly string[];
  /** The connection's name, as `nats server report connections` shows it. */
  name?: string;
  user?: string;
  password?: string;
  token?: string;
  /** Path of a NATS .creds file. */
  credsFile?: string;
  /** Path of a file with the seed of an nkey user. */
  nkeyFile?: string;
  tlsCaFile?: string;
  tlsCertFile?: string;
  tlsKeyFile?: string;
  /** Prefix of this connection's inboxes, without its dot; default "_INBOX". */
  inboxPrefix?: string;
  /** Keep trying when there is no broker yet; default true for services. */
  waitOnFirstConnect?: boolean;
  /** How long one try to connect may take, in milliseconds; default 5,000. */
  connectTimeoutMs?: number;
  /** Ends the wait for a first connection; connect() then rejects with `canceled`. */
  signal?: AbortSignal;
  /** How often the broker is pinged, in milliseconds; default 5,000. Three unanswered end the connection. */
  pingIntervalMs?: number;
  log?: Logger;
}
