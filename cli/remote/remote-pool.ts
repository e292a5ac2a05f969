/** The stored jobs of one pool through a manager's HTTP interface: what every command about them calls. */
import { type Client, createClient } from "@connectrpc/connect";
import { DurableService } from "../../gen/poolmesh/v1/durable_pb.js";
import type { Shell } from "../shell.js";
import { within } from "./remote-calls.js";
import type { RemoteFlags } from "./remote-options.js";
import { managerTransport } from "./transport.js";

export class RemotePool {
  readonly #url: string;
  readonly #service: Client<typeof DurableService>;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(
    shell: Shell,
    url: string,
    flags: RemoteFlags,
    readonly pool: string,
  ) {
    this.#url = url;
    this.#service = createClient(DurableService, managerTransport(shell, url, flags));
  }

  /** One call. @throws PoolError what the manager says, or `bus_unavailable` when it says nothing in time */
  ask<T>(call: (service: Client<typeof DurableService>, options: { timeoutMs: number }) => Promise<T>): Promise<T> {
    return within(this.#url, (options) => call(this.#service, options));
  }
}
