/** The embedded broker kept alive, on the port that it had first. */
import type { Broker } from "../../broker/broker.js";
import { PoolError } from "../../mesh/errors.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { GIVE_UP_AFTER, RestartPolicy } from "./restart-policy.js";

/** How a broker is started: on a port, or on the default one when it is free. */
export type BrokerStarter = (port: number | "prefer-default") => Promise<Broker>;

export class SupervisedBroker extends Lifecycle {
  readonly #start: BrokerStarter;
  readonly #onEvent: (text: string) => void;
  readonly #policy = new RestartPolicy();
  #broker: Broker | undefined;
  #port = 0;
  #url = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(start: BrokerStarter, onEvent: (text: string) => void) {
    super();
    this.#start = start;
    this.#onEvent = onEvent;
  }

  get url(): string {
    return this.#url;
  }

  /** The process id of nats-server; 0 between two runs. */
  get pid(): number {
    return this.#broker?.state === "running" ? this.#broker.pid : 0;
  }

  /** Kills it at once. */
  kill(): void {
    void this.stop();
    this.#broker?.signal("SIGKILL");
  }

  protected override async onStart(): Promise<void> {
    await this.#run("prefer-default");
  }

  protected override async onStop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#broker?.stop();
  }

  async #run(port: number | "prefer-default"): Promise<void> {
    const broker = await this.#start(port);
    this.#broker = broker;
    this.#port = broker.port;
    this.#url = broker.url;
    if (this.state === "stopping" || this.state === "stopped") return broker.stop();
    const bornAt = performance.now();
    void broker.closed.then((error) => error !== undefined && this.#onDeath(error.message, performance.now() - bornAt));
  }

  #onDeath(why: string, aliveMs: number): void {
    if (this.state === "stopping" || this.state === "stopped") return;
    const verdict = this.#policy.onExit(aliveMs);
    if (!verdict.again) {
      this.fail(new PoolError("bus_unavailable", `broker died ${GIVE_UP_AFTER} times in a row, last: ${why}`));
      return;
    }
    this.#onEvent(`broker died (${why}); starting it again in ${verdict.delayMs} ms`);
    this.#timer = setTimeout(() => {
      this.#run(this.#port).catch((error: Error) => this.#onDeath(error.message, 0));
    }, verdict.delayMs);
  }
}
