/**
 * The options of a worker, and the one check of them, before any connection.
 */

import { PoolError } from "../../mesh/errors.js";
import type { EdgeOptions } from "../../mesh/http/edge-options.js";
import type { Codec, CodecName } from "../../mesh/job/codec.js";
import { isPoolDefinition, type PoolDefinition, poolName } from "../../mesh/job/pool-definition.js";
import type { BusOptions } from "../../mesh/link/bus.js";
import { checkConnection, type PartOptions } from "../../mesh/link/part-options.js";
import {
  type LargePayloadOptions,
  type LargePayloads,
  settleLargePayloads,
} from "../../mesh/objects/large-payloads.js";
import { deprecated } from "../../mesh/process/deprecation.js";
import { type Logger, silentLog } from "../../mesh/process/log.js";
import type { IsolationName } from "../../mesh/process/options.js";
import { defaultId } from "../../mesh/process/process.js";
import { MAX_SLOTS } from "../../mesh/wire/heartbeat-codec.js";
import { checkName, DEFAULT_PREFIX, Subjects } from "../../mesh/wire/subjects.js";
import type { CodecPair, Handler } from "./handlers/handler.js";
import { checkRun, noCodec } from "./handlers/handler-exports.js";

/** The most labels a worker has. */
const MAX_LABELS = 32;

/** How a worker is made. Exactly one of `run`, `handlerFile` and `exec` says what it does. */
export interface WorkerOptions<I = unknown, O = unknown> extends PartOptions {
  /** A name, or the definition of a typed pool: then payloads and results are checked by its schemas. */
  // biome-ignore lint/suspicious/noExplicitAny: what callers of the pool see does not matter here
  pool: string | PoolDefinition<any, I, O, any>;
  /** Unique in its pool; default made from host and process. */
  id?: string;
  /** Jobs that run at once, 1 to 65,535; default 1. */
  slots?: number;
  /** A function in this process. */
  run?: Handler<I, O>;
  /** A file that exports `run(job)`, perhaps with `codec`, `setup` and `teardown`; .ts, .js or .mjs. See docs/handlers.md. */
  handlerFile?: string;
  /** Where the file's handler runs; default "inline". */
  isolation?: IsolationName;
  /** A thread or process is replaced after this many jobs; default: never. Only for those. */
  recycleAfter?: number;
  /** How long the handler's file, its setup() and its teardown() may take, each; default 10,000. */
  loadTimeoutMs?: number;
  /** A command for each job: payload on stdin, result from stdout. */
  exec?: string;
  /** Default: the file's export `codec`, else JSON. For threads and processes it must be one with a name. */
  codec?: CodecName | Codec | CodecPair;
  /** @deprecated say its options beside the others: `servers` in place of `bus: { servers }` */
  bus?: BusOptions;
  labels?: Record<string, string>;
  /** Default 1,000. */
  heartbeatIntervalMs?: number;
  /** At most one heartbeat on change in this time; default 50. */
  coalesceMs?: number;
  /** A job that takes longer is said to be accepted; default 25. */
  acceptAfterMs?: number;
  /** The time an aborted handler has to settle; default 2,000. */
  abortGraceMs?: number;
  /** The time running jobs have at stop(); default 10,000. */
  graceMs?: number;
  /** Serve `/metrics`, `/healthz` and `/readyz` over HTTP; default: no port is opened. */
  metrics?: EdgeOptions;
  /** Read payloads from the object store of the broker's JetStream, and put results there that are over the broker's limit; default false. */
  largePayloads?: boolean | LargePayloadOptions;
}

/** Options of any handler. */
// biome-ignore lint/suspicious/noExplicitAny: a handler takes what its own pool gives it
export type AnyWorkerOptions = WorkerOptions<any, any>;

/** Options with every default in place. */
export interface WorkerSettings {
  readonly id: string;
  readonly pool: string;
  readonly slots: number;
  readonly subjects: Subjects;
  readonly labels: Readonly<Record<string, string>>;
  readonly heartbeatIntervalMs: number;
  readonly coalesceMs: number;
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  readonly graceMs: number;
  readonly metrics: EdgeOptions | undefined;
  readonly large: LargePayloads | undefined;
  readonly loadTimeoutMs: number;
  readonly log: Logger;
}

/**
 * Checks options and fills in defaults.
 *
 * @throws PoolError `invalid_argument` that names the option
 */
export function settle(options: AnyWorkerOptions): WorkerSettings {
  checkOneHandler(options);
  return {
    id: checkName("worker", options.id ?? defaultId()),
    pool: poolName(options.pool),
    slots: checkSlots(options.slots ?? 1),
    subjects: new Subjects(options.prefix ?? DEFAULT_PREFIX),
    labels: checkLabels(options.labels ?? {}),
    heartbeatIntervalMs: number("heartbeatIntervalMs", options.heartbeatIntervalMs ?? 1_000, 1),
    coalesceMs: number("coalesceMs", options.coalesceMs ?? 50, 0),
    acceptAfterMs: number("acceptAfterMs", options.acceptAfterMs ?? 25, 0),
    abortGraceMs: number("abortGraceMs", options.abortGraceMs ?? 2_000, 0),
    graceMs: number("graceMs", options.graceMs ?? 10_000, 0),
    metrics: options.metrics,
    large: settleLargePayloads(options.largePayloads, options.prefix ?? DEFAULT_PREFIX),
    loadTimeoutMs: number("loadTimeoutMs", options.loadTimeoutMs ?? 10_000, 1),
    log: options.log ?? silentLog,
  };
}

/**
 * How a worker makes its connection, when it has to.
 *
 * @throws PoolError `invalid_argument`, field "connection"
 */
export function connectingOptions(options: AnyWorkerOptions): BusOptions {
  const { bus } = options;
  if (bus !== undefined) {
    const message = "the option bus of a Worker is deprecated: say servers and the others beside the other options";
    deprecated("POOLMESH_DEP0003", message);
  }
  return { ...checkConnection({ ...options, ...bus }) };
}

/** @throws PoolError `invalid_argument`, field "slots" */
export function checkSlots(slots: number): number {
  if (Number.isInteger(slots) && slots >= 1 && slots <= MAX_SLOTS) return slots;
  throw refuse("slots", `use a whole number from 1 to ${MAX_SLOTS}`);
}

function checkOneHandler(options: AnyWorkerOptions): void {
  const given = [options.run, options.handlerFile, options.exec].filter((each) => each !== undefined);
  if (given.length !== 1) throw refuse("handler", "say exactly one of run, handlerFile and exec");
  if (options.run !== undefined && typeof options.run !== "function") throw refuse("handler", "run is not a function");
  if (options.run !== undefined) checkRun(options.run, "run");
  const { recycleAfter } = options;
  if (recycleAfter !== undefined && !(Number.isSafeInteger(recycleAfter) && recycleAfter >= 1)) {
    throw refuse("recycleAfter", "use a whole number of jobs, at least 1");
  }
  if (isPoolDefinition(options.pool)) checkTyped(options);
  if (options.handlerFile === undefined && options.isolation !== undefined && options.isolation !== "inline") {
    throw refuse("isolation", `only a handler file can run in a ${options.isolation}`);
  }
}

/** Schemas are code: they cross to no command, thread or process. */
function checkTyped({ codec, exec, isolation = "inline" }: AnyWorkerOptions): void {
  if (codec !== undefined) throw noCodec();
  if (exec !== undefined) throw refuse("pool", "a command has no types: give the pool's name");
  if (isolation === "inline") return;
  throw refuse(
    "pool",
    `with isolation ${isolation}, give the pool's name, and export its definition from the file: export const pool`,
  );
}

/** Within what a reader of heartbeats takes; more would make it drop them. */
function checkLabels(labels: Record<string, string>): Record<string, string> {
  const entries = Object.entries(labels);
  const fits = entries.every(([key, value]) => /^[\x20-\x7e]{1,63}$/.test(key) && /^[\x20-\x7e]{0,63}$/.test(value));
  if (fits && entries.length <= MAX_LABELS) return { ...labels };
  throw refuse("labels", `use at most ${MAX_LABELS}, keys and values of up to 63 printable ASCII characters`);
}

function number(field: string, value: number, min: number): number {
  if (Number.isFinite(value) && value >= min && value <= 2_147_483_647) return value;
  throw refuse(field, `use a number of milliseconds from ${min} to 2147483647`);
}

function refuse(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
