/** The limits of one pool through a manager's HTTP interface. */
import { type Client, createClient } from "@connectrpc/connect";
import { fromLimitMessage, toLimitMessage } from "../../client/durable/limits/rpc-limits.js";
import { DurableService } from "../../gen/poolmesh/v1/durable_pb.js";
import type { Limit } from "../../mesh/durable/limits/limit.js";
import type { LimitSource } from "../durable/limits.js";
import type { Shell } from "../shell.js";
import { within } from "./remote-calls.js";
import { managerTransport, type RemoteFlags } from "./remote-options.js";

export class RemoteLimits implements LimitSource {
  readonly #url: string;
  readonly #pool: string;
  readonly #service: Client<typeof DurableService>;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(shell: Shell, url: string, flags: RemoteFlags, pool: string) {
    this.#url = url;
    this.#pool = pool;
    this.#service = createClient(DurableService, managerTransport(shell, url, flags));
  }

  async list(): Promise<Limit[]> {
    const { limits } = await within(this.#url, (options) => this.#service.listLimits({ pool: this.#pool }, options));
    return limits.map(fromLimitMessage);
  }

  async set(limit: Limit): Promise<void> {
    const request = { pool: this.#pool, limit: toLimitMessage(limit) };
    await within(this.#url, (options) => this.#service.setLimit(request, options));
  }

  async remove(target: string): Promise<void> {
    await within(this.#url, (options) => this.#service.removeLimit({ pool: this.#pool, target }, options));
  }
}
