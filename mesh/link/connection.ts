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
> & {
  /** The next reconnect begins with another broker than the one that there is a connection to; of connections that BrokerOptions makes. */
  avoidBroker?(): void;
  /** More than one broker was given to connect to; of the same connections. */
  readonly knowsOthers?: boolean;
};
