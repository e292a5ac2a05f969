/** The handler of every fault scenario: does what its payload says, and tells the history when it begins and ends. */
import { setTimeout as wait } from "node:timers/promises";
import type { Job } from "../../../services/worker/worker.js";
import { type FaultEvent, HISTORY_VARIABLE, History } from "../history.js";

/** What a job asks of the handler. */
export interface Order {
  readonly do:
    | "return"
    | "wait"
    | "deaf"
    | "never"
    | "block"
    | "throw-error"
    | "throw-string"
    | "throw-null"
    | "reject"
    | "throw-late"
    | "exit"
    | "uncaught";
  /** How long, in milliseconds. */
  readonly ms?: number;
  /** How long from the second attempt on; default as `ms`. */
  readonly laterMs?: number;
  /** Given back as it is. */
  readonly echo?: string;
  /** What the job that follows is asked: the result is its payload. */
  readonly next?: Order;
  /** Of a completion job: what it was told of its batch, given back as it is. */
  readonly summary?: unknown;
}

const history = new History(process.env[HISTORY_VARIABLE] ?? "/dev/null");

/** Runs one job. */
export async function run(job: Job): Promise<unknown> {
  const who = { id: job.id, attempt: job.attemptNumber, worker: job.worker, pid: process.pid };
  const order = orderOf(job.payload);
  history.add({ kind: "start", ...who });
  // Who ends its own process says so while it can.
  if (order.do === "exit" || order.do === "uncaught") history.add({ kind: "end", ...who, how: "threw" });
  job.signal.addEventListener("abort", () => history.add({ kind: "signal", ...who }), { once: true });
  let how: Extract<FaultEvent, { kind: "end" }>["how"] = "returned";
  try {
    await obey(job.attempt === 1 ? order : { ...order, ms: order.laterMs ?? order.ms ?? 0 }, job.signal);
    return { ...order.next, ...who, echo: order.echo, summary: order.summary };
  } catch (thrown) {
    how = job.signal.aborted ? "aborted" : "threw";
    throw thrown;
  } finally {
    history.add({ kind: "end", ...who, how });
  }
}

/** The payload of a completion job is no order but a summary. */
function orderOf(payload: unknown): Order {
  const isSummary = typeof payload === "object" && payload !== null && "batch" in payload;
  return isSummary ? { do: "return", summary: payload } : (payload as Order);
}

function obey(order: Order, signal: AbortSignal): unknown {
  switch (order.do) {
    case "return":
      return undefined;
    case "wait":
      return wait(order.ms ?? 0, undefined, { signal });
    case "deaf":
      return wait(order.ms ?? 60_000);
    case "never":
      return new Promise(() => {});
    case "block":
      return block(order.ms ?? 0);
    case "exit":
      return process.exit(7);
    case "uncaught":
      setImmediate(() => {
        throw new Error("uncaught, as asked");
      });
      return new Promise(() => {});
    default:
      return fail(order.do);
  }
}

function fail(how: Order["do"]): unknown {
  const error = new Error("it failed, in /home/somebody/secret/file.ts:12:3");
  if (how === "throw-string") throw "just a string";
  if (how === "throw-null") throw null;
  if (how === "reject") return Promise.reject(error);
  if (how !== "throw-late") throw error;
  setTimeout(() => Promise.reject(error).catch(() => undefined), 5);
  return undefined;
}

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
