/**
 * How a client gets a connection and gets it back: nats.js' own loop, with the mesh's delays.
 *
 * Decided here: which broker is tried when. Like nats.js, it reads the wall
 * clock for that. Not decided here: what a connection is (sim-connection.ts).
 */
import { ReconnectDelays } from "../../../mesh/link/broker/reconnect-delays.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import type { KnownServer, ServerList } from "./server-list.js";

/** What the dialer asks of its connection. */
export interface DialHost {
  isClosed(): boolean;
  /** Tries a broker once; calls `end` with whether there is a connection. */
  dial(server: KnownServer, end: (connected: boolean) => void): void;
  /** There is a connection. */
  onConnected(): void;
}

/** Tries the known brokers in turn, for ever. */
export class Dialer {
  readonly #runtime: Runtime;
  readonly #servers: ServerList;
  readonly #host: DialHost;
  readonly #delays: ReconnectDelays;
  #underWay = false;

  constructor(runtime: Runtime, servers: ServerList, host: DialHost) {
    this.#runtime = runtime;
    this.#servers = servers;
    this.#host = host;
    this.#delays = new ReconnectDelays(runtime);
  }

  /** Begins unless it is under way. */
  start(): void {
    if (this.#underWay) return;
    this.#underWay = true;
    this.#step();
  }

  /** The broker that was dialed last is not the first to be dialed next. */
  avoidLast(): void {
    this.#delays.avoidLast();
  }

  #step(): void {
    if (this.#host.isClosed()) {
      this.#underWay = false;
      return;
    }
    const waitMs = this.#delays.next();
    const server = this.#servers.next();
    const now = this.#runtime.wallNow();
    const readyAtMs = server.lastTriedAtMs + waitMs;
    if (server.lastTriedAtMs !== 0 && readyAtMs > now) {
      this.#runtime.after(Math.min(waitMs, readyAtMs - now), () => this.#step());
      return;
    }
    server.lastTriedAtMs = now;
    this.#host.dial(server, (connected) => {
      if (!connected) return this.#step();
      this.#underWay = false;
      this.#host.onConnected();
    });
  }
}
