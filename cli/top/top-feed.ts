/** Both streams of a meter, kept as one state. */
import type { Transport } from "@connectrpc/connect";
import { PoolOrder } from "../../browser/order-pools.js";
import { PoolError, watchCapacity, watchWorkers } from "../../browser.js";
import type { RemoteFlags } from "../remote/remote-options.js";
import { remoteTransport } from "../remote/transport.js";
import type { TopState } from "./screen.js";

/** Follows a meter until `signal` aborts. */
export class TopFeed {
  #state: TopState;
  readonly #heard: () => void;
  readonly #transport: Transport;

  /**
   * @param heard called whenever the state changed
   * @throws PoolError `invalid_argument` for the URL and the flags
   */
  constructor(url: string, pool: string, flags: RemoteFlags, heard: () => void) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new PoolError("invalid_argument", "the meter's address: use a URL such as http://127.0.0.1:8090", {
        field: "meter",
      });
    }
    this.#state = { url: new URL(url).origin, pool, capacity: undefined, workers: undefined, order: new PoolOrder() };
    this.#transport = remoteTransport(url, "meter", flags);
    this.#heard = heard;
  }

  get state(): TopState {
    return this.#state;
  }

  /** Whether both streams have told what they know. */
  get complete(): boolean {
    const { capacity, workers } = this.#state;
    return capacity?.total !== undefined && workers !== undefined && workers.version > 0n;
  }

  /** Whether no meter has said anything yet. */
  get heardNothing(): boolean {
    return this.#state.capacity?.total === undefined;
  }

  /**
   * Resolves when `signal` aborts.
   *
   * @throws PoolError what trying again cannot mend
   */
  async follow(signal: AbortSignal): Promise<void> {
    const transport = this.#transport;
    const pool = this.#state.pool === "" ? {} : { pool: this.#state.pool };
    const options = { ...pool, transport, signal, minIntervalMs: 200 };
    await Promise.all([this.#followCapacity(options), this.#followWorkers(options)]);
  }

  async #followCapacity(options: Parameters<typeof watchCapacity>[0]): Promise<void> {
    for await (const capacity of watchCapacity(options)) this.#set({ capacity });
  }

  async #followWorkers(options: Parameters<typeof watchWorkers>[0]): Promise<void> {
    for await (const workers of watchWorkers(options)) this.#set({ workers });
  }

  #set(change: Partial<TopState>): void {
    this.#state = { ...this.#state, ...change };
    this.#heard();
  }
}
