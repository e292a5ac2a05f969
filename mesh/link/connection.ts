/** What the mesh uses of a NATS connection: all of nats.js' that a bus and its parts call. */
import type { NatsConnection } from "nats";

/** A connection to a broker. nats.js makes real ones; the simulator makes its own. */
export type Connection = Pick<
  NatsConnection,
  | "publish"
  | "subscribe"
  | "request"
  | "getServer"
  | "flush"
  | "status"
  | "info"
  | "isClosed"
  | "isDraining"
  | "closed"
  | "close"
  | "reconnect"
>;
