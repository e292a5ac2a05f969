/** The limits of one pool through a manager's HTTP interface. */
import { fromLimitMessage, toLimitMessage } from "../../../client/durable/limits/rpc-limits.js";
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import type { LimitSource } from "../../sources/durable.js";
import type { RemotePool } from "../remote-pool.js";

export class RemoteLimits implements LimitSource {
  readonly #remote: RemotePool;

  constructor(remote: RemotePool) {
    this.#remote = remote;
  }

  async list(): Promise<Limit[]> {
    const { limits } = await this.#remote.ask((service, options) =>
      service.listLimits({ pool: this.#remote.pool }, options),
    );
    return limits.map(fromLimitMessage);
  }

  async set(limit: Limit): Promise<void> {
    const request = { pool: this.#remote.pool, limit: toLimitMessage(limit) };
    await this.#remote.ask((service, options) => service.setLimit(request, options));
  }

  async remove(target: string): Promise<void> {
    await this.#remote.ask((service, options) => service.removeLimit({ pool: this.#remote.pool, target }, options));
  }
}
