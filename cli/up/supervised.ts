/**
 * One service kept alive: started, started again when it dies, stopped.
 *
 * Decided here: what an exit means. A worker that was drained has left and is
 * not started again; a wrong configuration never heals, but a port that another
 * program has taken since it was looked at is given up for any other one;
 * everything else is tried again as the restart policy says.
 */
import { PoolError } from "../../mesh/errors.js";
import { Lifecycle } from "../../mesh/process/lifecycle.js";
import { EXIT } from "../exit-codes.js";
import type { Invocation } from "../shell.js";
import type { LogLine } from "./log-line.js";
import { RestartPolicy } from "./restart-policy.js";
import { type ServiceExit, ServiceProcess } from "./service-process.js";

/** A service to keep alive. */
export interface ServiceSpec {
  /** For a person: "manager", "worker w-1". */
  readonly name: string;
  readonly self: Invocation;
  /**
   * Its command line, made anew for every start; gets the address of the last
   * run, "" at first, and whether any port will do.
   */
  readonly args: (lastUrl: string, anyPort: boolean) => Promise<readonly string[]>;
  /** Whether it goes to any port when another program takes its own just before it; default false. */
  readonly mayMove?: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It may be asked by others to leave for good, as a worker by drain. */
  readonly mayLeave: boolean;
  /** Time to end after SIGTERM before it is killed, in milliseconds. */
  readonly stopLimitMs: number;
  readonly onLine: (line: LogLine | string) => void;
  /** Hears what happened, a sentence each. */
  readonly onEvent: (text: string) => void;
  /** Default: a {@link RestartPolicy}. */
  readonly policy?: Pick<RestartPolicy, "onExit">;
}

export class Supervised extends Lifecycle {
  readonly name: string;
  readonly #spec: ServiceSpec;
  readonly #policy: Pick<RestartPolicy, "onExit">;
  #run: ServiceProcess | undefined;
  #url = "";
  #timer: NodeJS.Timeout | undefined;
  #replacing = false;
  /** Its own port was taken, and it has no other yet. */
  #anyPort = false;
  #nextReady!: Promise<void>;
  #settleReady: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(spec: ServiceSpec) {
    super();
    this.#spec = spec;
    this.#policy = spec.policy ?? new RestartPolicy();
    this.name = spec.name;
    this.#awaitReady();
  }

  /** Its process id now; 0 between two runs. */
  get pid(): number {
    return this.#run?.pid ?? 0;
  }

  /** The address that its last run named. */
  get url(): string {
    return this.#url;
  }

  /**
   * Replaces the running process by a new one; resolves when that is ready.
   *
   * @param leave asks the process to finish its work and end
   */
  async replace(leave: () => Promise<void>): Promise<void> {
    if (this.state !== "running") throw new PoolError("draining", `${this.name} is not running`);
    this.#awaitReady();
    this.#replacing = true;
    try {
      await leave();
    } catch (error) {
      this.#replacing = false;
      throw error;
    }
    await this.#nextReady;
  }

  /** Kills it at once and starts nothing again. */
  kill(): void {
    void this.stop();
    this.#run?.signal("SIGKILL");
  }

  protected override async onStart(): Promise<void> {
    await this.#launch();
    await this.#nextReady;
  }

  protected override async onStop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#settleReady?.reject(new PoolError("canceled", `${this.name} was stopped`));
    const run = this.#run;
    if (run === undefined) return;
    run.signal("SIGTERM");
    const killer = setTimeout(() => run.signal("SIGKILL"), this.#spec.stopLimitMs);
    await run.exited;
    clearTimeout(killer);
  }

  #awaitReady(): void {
    this.#nextReady = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.#nextReady.catch(() => undefined);
  }

  async #launch(): Promise<void> {
    const { self, env } = this.#spec;
    const args = await this.#spec.args(this.#url, this.#anyPort);
    const onLine = (line: LogLine | string): void => {
      if (!this.#willMove(typeof line === "string" ? line : String(line.fields.error))) this.#spec.onLine(line);
    };
    if (this.#isStopping()) return;
    const run = new ServiceProcess({ self, env, args, onLine });
    const bornAt = performance.now();
    this.#run = run;
    void run.ready.then((url) => {
      this.#url = url;
      this.#anyPort = false;
      this.#settleReady?.resolve();
    });
    void run.exited.then((exit) => this.#onExit(exit, performance.now() - bornAt));
  }

  #onExit(exit: ServiceExit, aliveMs: number): void {
    this.#run = undefined;
    if (this.#isStopping()) return;
    const { name, onEvent, mayLeave } = this.#spec;
    if (this.#replacing) {
      this.#replacing = false;
      this.#launchLater(0);
    } else if (mayLeave && exit.asked) {
      onEvent(`${name} was drained and has left`);
      void this.stop();
    } else if (exit.code === EXIT.config && this.#willMove(exit.why)) {
      this.#anyPort = true;
      this.#launchLater(0);
    } else if (exit.code === EXIT.config)
      this.#giveUp(new PoolError("invalid_argument", `configuration: ${name}: ${exit.why}`));
    else this.#onDeath(exit, aliveMs);
  }

  /** Whether this is about a port that is taken and need not be had. */
  #willMove(text: string): boolean {
    return this.#spec.mayMove === true && !this.#anyPort && /EADDRINUSE|the port is in use/.test(text);
  }

  #onDeath({ why }: ServiceExit, aliveMs: number): void {
    const { name, onEvent } = this.#spec;
    const verdict = this.#policy.onExit(aliveMs);
    if (verdict.again) {
      onEvent(`${name} died (${why}); starting it again in ${verdict.delayMs} ms`);
      this.#launchLater(verdict.delayMs);
    } else this.#giveUp(new PoolError("internal", `${name} died too often in a row, last by ${why}`));
  }

  #launchLater(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#launch(), delayMs);
  }

  #giveUp(error: PoolError): void {
    this.#settleReady?.reject(error);
    this.fail(error);
  }

  #isStopping(): boolean {
    return this.state === "stopping" || this.state === "stopped";
  }
}
