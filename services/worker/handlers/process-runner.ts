/** Runs the handler in child processes, one for each slot, started when first needed. */
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { HandlerProcess } from "./handler-process.js";
import type { HandlerSource } from "./isolated-calls.js";
import type { Call, Runner } from "./runner.js";

export interface ProcessRunnerOptions {
  readonly source: HandlerSource;
  readonly slots: number;
  readonly abortGraceMs: number;
}

export class ProcessRunner implements Runner {
  readonly isolation = Isolation.PROCESS;
  readonly blocking = false;
  readonly #options: ProcessRunnerOptions;
  readonly #children = new Set<HandlerProcess>();
  readonly #idle: HandlerProcess[] = [];
  #slots: number;

  constructor(options: ProcessRunnerOptions) {
    this.#options = options;
    this.#slots = options.slots;
  }

  async start(): Promise<void> {
    const first = this.#spawn();
    await first.loaded;
    this.#idle.push(first);
  }

  run(call: Call): void {
    const child = this.#idle.pop() ?? this.#spawn();
    child.run(call, () => this.#release(child));
  }

  resize(slots: number): void {
    this.#slots = slots;
    while (this.#children.size > slots && this.#idle.length > 0) void this.#idle.pop()?.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children].map((each) => each.stop()));
  }

  #spawn(): HandlerProcess {
    const { source, abortGraceMs } = this.#options;
    const child = new HandlerProcess(source, abortGraceMs, (gone) => this.#forget(gone));
    this.#children.add(child);
    return child;
  }

  #release(child: HandlerProcess): void {
    if (child.gone) return;
    if (this.#children.size > this.#slots) void child.stop();
    else this.#idle.push(child);
  }

  #forget(child: HandlerProcess): void {
    this.#children.delete(child);
    const at = this.#idle.indexOf(child);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
