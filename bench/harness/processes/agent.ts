/**
 * An agent: a file of agents/ in a process of its own, whose exported functions
 * can be called from here.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { AgentAnswer, AgentCall } from "./agent-host.js";

/** What an agent's file exports that can be called from outside. */
type Call = (...args: never[]) => unknown;
type Calls<M> = { readonly [K in keyof M]: M[K] extends Call ? M[K] : never };

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const HERE = import.meta.dirname;
/** The longest time for one call, in milliseconds. */
const CALL_LIMIT_MS = 300_000;
/** How long a process has to leave when its channel closes, in milliseconds. */
const LEAVE_MS = 3_000;

/** A running agent; M is its file's type. */
export class Agent<M> {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  readonly #ready: Promise<void>;
  #settleReady!: Pending;
  #calls = 0;
  #gone = false;

  /** Starts the agent of `agents/NAME.js`. */
  static async start<M>(name: string, nodeOptions: readonly string[] = []): Promise<Agent<M>> {
    const agent = new Agent<M>(name, nodeOptions);
    await agent.#ready;
    return agent;
  }

  private constructor(name: string, nodeOptions: readonly string[]) {
    this.#name = name;
    const url = pathToFileURL(join(HERE, "..", "..", "agents", `${name}.js`)).href;
    this.#child = fork(join(HERE, "agent-host.js"), [url], {
      execArgv: [...nodeOptions],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve: resolve as () => void, reject };
    });
    this.#exited = new Promise((resolve) => this.#child.once("exit", () => resolve(this.#onExit())));
    this.#child.on("message", (message) => this.#onMessage(message as AgentAnswer | "ready"));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Calls an exported function of the agent's file. */
  ask<K extends keyof M & string>(
    name: K,
    ...args: Parameters<Calls<M>[K]>
  ): Promise<Awaited<ReturnType<Calls<M>[K]>>> {
    this.#calls += 1;
    const id = this.#calls;
    return new Promise((resolve, reject) => {
      if (this.#gone) return reject(this.#ended());
      const timer = setTimeout(() => settle().reject(new Error(`${this.#name}.${name}: no answer`)), CALL_LIMIT_MS);
      const settle = (): Pending => {
        clearTimeout(timer);
        this.#pending.delete(id);
        return { resolve: resolve as (value: unknown) => void, reject };
      };
      this.#pending.set(id, {
        resolve: (value) => settle().resolve(value),
        reject: (error) => settle().reject(error),
      });
      this.#child.send({ id, name, args } satisfies AgentCall);
    });
  }

  /** Ends it without a word, as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** Lets it leave, and ends it when it does not. */
  async stop(): Promise<void> {
    if (this.#gone) return;
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), LEAVE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #onMessage(message: AgentAnswer | "ready"): void {
    if (message === "ready") return this.#settleReady.resolve(undefined);
    const pending = this.#pending.get(message.id);
    if (message.error === undefined) pending?.resolve(message.value);
    else pending?.reject(new Error(`${this.#name}: ${message.error}`));
  }

  #onExit(): void {
    this.#gone = true;
    this.#settleReady.reject(this.#ended());
    for (const pending of [...this.#pending.values()]) pending.reject(this.#ended());
  }

  #ended(): Error {
    return new Error(`the process of ${this.#name} has ended`);
  }
}
