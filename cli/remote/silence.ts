/**
 * Calls to a manager over HTTP that may take long, such as the one of a job.
 *
 * A long job and a server that never says a word look the same to its caller. So a call without an answer for a while is
 * followed by a question that every manager answers at once.
 */
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { remoteFailure } from "./remote-failure.js";

/** When it is asked, and when nobody has answered, in milliseconds. */
const ASK_AFTER_MS = 1_000;
const LIMIT_MS = 5_000;

/** Where the call goes. */
export interface Destination {
  readonly transport: Transport;
  readonly url: string;
  /** The caller's own. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The answer of one call.
 *
 * @param call gets the signal that ends it
 * @throws PoolError what the server says, or `bus_unavailable`: nobody was reached, or nobody answers anything
 */
export async function unlessSilent<T>(to: Destination, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const silence = new AbortController();
  const ended = new AbortController();
  const timer = setTimeout(() => void ask(to, silence, ended.signal), ASK_AFTER_MS);
  try {
    return await call(AbortSignal.any(to.signal === undefined ? [silence.signal] : [silence.signal, to.signal]));
  } catch (thrown) {
    throw silence.signal.aborted ? silence.signal.reason : remoteFailure(thrown, to.url);
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** Resolves when somebody answers, or cannot be reached: what is called next says so. @throws PoolError `bus_unavailable` */
export async function mustAnswer(to: Destination): Promise<void> {
  const silence = await silenceOf(to, LIMIT_MS);
  if (silence !== undefined && to.signal?.aborted !== true) throw noAnswer(to, silence, false);
}

async function ask(to: Destination, silence: AbortController, signal: AbortSignal): Promise<void> {
  const cause = await silenceOf({ ...to, signal }, LIMIT_MS - ASK_AFTER_MS);
  if (cause !== undefined && !signal.aborted) silence.abort(noAnswer(to, cause, true));
}

/** Why nobody answers; undefined when somebody does. A refusal is an answer. */
async function silenceOf({ transport, signal }: Destination, timeoutMs: number): Promise<unknown> {
  try {
    await createClient(Health, transport).check({}, { timeoutMs, ...(signal === undefined ? {} : { signal }) });
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code === Code.DeadlineExceeded ? error : undefined;
  }
}

function noAnswer({ url }: Destination, cause: unknown, maybeExecuted: boolean): PoolError {
  const text = `no answer from ${new URL(url).origin} within ${LIMIT_MS / 1_000} s`;
  return new PoolError("bus_unavailable", text, { maybeExecuted, cause });
}
