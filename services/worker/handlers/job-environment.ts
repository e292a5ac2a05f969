/** What a command learns about its job by its environment, and what of the worker's it does not. Pure. */
import { envName } from "../../../mesh/process/config.js";
import { OPTIONS } from "../../../mesh/process/options.js";
import type { Call } from "./runner.js";

/** A broker's URL that carries a user or a token. */
const URL_WITH_SECRET = /(nats|tls):\/\/[^/]*@/;

/**
 * The environment of a job's command: the worker's own without its secrets, and JOB_ID, JOB_ATTEMPT, JOB_ATTEMPT_NUMBER,
 * JOB_LANE, JOB_MAX_ATTEMPTS (of the durable lane), JOB_POOL, JOB_WORKER, JOB_DEADLINE_MS (milliseconds since the epoch),
 * TRACEPARENT and TRACESTATE.
 *
 * @param nowMs the clock of the call's deadline
 * @param wallNowMs milliseconds since the epoch
 */
export function jobEnvironment(
  call: Call,
  env: Readonly<Record<string, string | undefined>>,
  nowMs: number,
  wallNowMs: number,
): Record<string, string | undefined> {
  return {
    ...withoutSecrets(env),
    JOB_ID: call.id,
    JOB_ATTEMPT: String(call.attempt),
    JOB_ATTEMPT_NUMBER: String(call.attemptNumber),
    JOB_LANE: call.lane,
    ...(call.maxAttempts === undefined ? {} : { JOB_MAX_ATTEMPTS: String(call.maxAttempts) }),
    JOB_POOL: call.pool,
    JOB_WORKER: call.worker,
    JOB_DEADLINE_MS: String(Math.round(wallNowMs + call.deadlineAtMs - nowMs)),
    ...(call.traceparent === undefined ? {} : { TRACEPARENT: call.traceparent }),
    ...(call.tracestate === undefined ? {} : { TRACESTATE: call.tracestate }),
  };
}

function withoutSecrets(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  const secrets = Object.entries(OPTIONS).filter(([, spec]) => "secret" in spec);
  const names = new Set(secrets.map(([name]) => envName(name)));
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => !names.has(name) && !URL_WITH_SECRET.test(value ?? "")),
  );
}
