/**
 * Runs the handler in threads, one job per thread at a time, by piscina.
 *
 * An aborted job that does not settle within its grace ends its thread, so no
 * other job may share it.
 */
import { BroadcastChannel } from "node:worker_threads";
import { Piscina } from "piscina";
import { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { childFile } from "./child-file.js";
import {
  fromWireEnding,
  fromWireError,
  type HandlerSource,
  toWireCall,
  toWireError,
  type WireAnswer,
  type WireError,
} from "./isolated-calls.js";
import type { Call, Ending, Runner } from "./runner.js";
import type { ThreadAbort, ThreadData, ThreadProgress, ThreadTask } from "./thread-child.js";

/** How long an idle thread stays, in milliseconds; one always does. */
const IDLE_MS = 30_000;

type ThreadPool = Piscina<ThreadTask, WireAnswer | WireError | undefined>;

interface ThreadCall {
  readonly call: Call;
  progressed: number;
  /** The answer, while progress messages that were sent before it are still on their way. */
  answer: WireAnswer | undefined;
}

export interface ThreadRunnerOptions {
  readonly source: HandlerSource;
  readonly slots: number;
  readonly abortGraceMs: number;
}

let runners = 0;

export class ThreadRunner implements Runner {
  readonly isolation = Isolation.THREAD;
  readonly blocking = false;
  readonly #options: ThreadRunnerOptions;
  readonly #calls = new Map<number, ThreadCall>();
  #aborts: BroadcastChannel | undefined;
  readonly #channel: string;
  #pool: ThreadPool | undefined;
  #slots: number;
  #next = 0;

  constructor(options: ThreadRunnerOptions) {
    runners += 1;
    this.#options = options;
    this.#slots = options.slots;
    this.#channel = `poolmesh-threads-${process.pid}-${runners}`;
  }

  async start(): Promise<void> {
    this.#aborts = new BroadcastChannel(this.#channel);
    this.#aborts.unref();
    this.#pool = new Piscina({
      filename: childFile("thread-child"),
      name: "run",
      minThreads: 1,
      maxThreads: this.#slots,
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: 1,
      recordTiming: false,
      // else an idle thread's event loop stands still: connections of the handler would time out, aborts pile up
      atomics: "disabled",
      workerData: { source: this.#options.source, channel: this.#channel } satisfies ThreadData,
    });
    this.#pool.on("message", (message: ThreadProgress) => this.#onProgress(message));
    // an exception in a thread that runs no job: piscina replaces the thread
    this.#pool.on("error", () => undefined);
    const wrong = (await this.#pool.run({ ask: "check" }).catch((thrown) => toWireError(crashed(thrown)))) as
      | WireError
      | undefined;
    if (wrong !== undefined) throw fromWireError(wrong);
  }

  run(call: Call): void {
    this.#next += 1;
    const number = this.#next;
    this.#calls.set(number, { call, progressed: 0, answer: undefined });
    const killer = new AbortController();
    let killTimer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      const error = toWireError(call.signal.reason as PoolError);
      this.#aborts?.postMessage({ call: number, error } satisfies ThreadAbort);
      killTimer = setTimeout(() => killer.abort(), this.#options.abortGraceMs);
    };
    call.signal.addEventListener("abort", onAbort, { once: true });
    this.#run(number, call, killer.signal)
      .then((answer) => this.#onAnswer(number, answer))
      .catch((thrown) => this.#end(number, { ok: false, error: crashed(thrown) }))
      .finally(() => {
        clearTimeout(killTimer);
        call.signal.removeEventListener("abort", onAbort);
      });
  }

  resize(slots: number): void {
    this.#slots = slots;
    if (this.#pool !== undefined) this.#pool.options.maxThreads = slots;
  }

  async stop(): Promise<void> {
    this.#aborts?.close();
    await this.#pool?.destroy();
  }

  #run(number: number, call: Call, signal: AbortSignal): Promise<WireAnswer> {
    const task: ThreadTask = { ask: "run", wire: toWireCall(call, number) };
    return (this.#pool as ThreadPool).run(task, { signal }) as Promise<WireAnswer>;
  }

  #onProgress({ call: number, payload }: ThreadProgress): void {
    const entry = this.#calls.get(number);
    if (entry === undefined) return;
    entry.progressed += 1;
    entry.call.progress(payload);
    if (entry.answer !== undefined) this.#onAnswer(number, entry.answer);
  }

  /** Progress comes by another port than the answer, and must not be overtaken. */
  #onAnswer(number: number, answer: WireAnswer): void {
    const entry = this.#calls.get(number);
    if (entry === undefined) return;
    entry.answer = answer;
    if (entry.progressed >= answer.progressed) this.#end(number, fromWireEnding(answer.ending));
  }

  #end(number: number, ending: Ending): void {
    const entry = this.#calls.get(number);
    this.#calls.delete(number);
    entry?.call.end(ending);
  }
}

function crashed(thrown: unknown): PoolError {
  const message = thrown instanceof Error ? thrown.message : "";
  const code = /exited with code: (\d+)/.exec(message)?.[1] ?? "1";
  const ended = thrown instanceof Error && thrown.name === "AbortError";
  const what = ended ? "the handler's thread was ended" : `the handler's thread exited with code ${code}`;
  return new PoolError("job_failed", what, { maybeExecuted: true });
}
