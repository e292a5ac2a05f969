/** What runs in each thread: loads the handler once and runs one call at a time. */
import { BroadcastChannel, parentPort, workerData } from "node:worker_threads";
import { type HandlerSource, IsolatedCalls, type WireAnswer, type WireCall, type WireError } from "./isolated-calls.js";

/** What a thread is started with. */
export interface ThreadData {
  readonly source: HandlerSource;
  /** The name of the channel that aborts come by. */
  readonly channel: string;
}

/** What is asked of a thread. */
export type ThreadTask = { readonly ask: "check" } | { readonly ask: "run"; readonly wire: WireCall };

/** On the thread's way to the worker, beside the answer. */
export interface ThreadProgress {
  readonly call: number;
  readonly payload: Uint8Array;
}

/** On the worker's way to every thread. */
export interface ThreadAbort {
  readonly call: number;
  readonly error: WireError;
}

let calls: IsolatedCalls | undefined;

/** Runs one task; piscina calls it by name. */
export async function run(task: ThreadTask): Promise<WireAnswer | WireError | undefined> {
  calls ??= open();
  return task.ask === "check" ? calls.check() : calls.run(task.wire);
}

function open(): IsolatedCalls {
  const { source, channel } = workerData as ThreadData;
  const opened = new IsolatedCalls(source, (call, payload) => {
    parentPort?.postMessage({ call, payload } satisfies ThreadProgress);
  });
  const aborts = new BroadcastChannel(channel);
  aborts.onmessage = (event): void => {
    const { call, error } = (event as { data: ThreadAbort }).data;
    opened.abort(call, error);
  };
  aborts.unref();
  return opened;
}
