/**
 * Poolmesh: a worker pool manager over NATS.
 *
 * This is the whole public API. A {@link Worker} turns jobs into results, a
 * {@link Manager} (embedded) or a {@link Client} (light, needs a manager
 * somewhere) submits them. Streams of capacity for browsers are in
 * `poolmesh/browser`, tools for tests in `poolmesh/testing`.
 *
 * @module poolmesh
 * @category API
 */

/** Around each submission of a client, and what happens to it. */
export type { SubmitCall, SubmitMiddleware } from "./client/around-submit.js";
/** Submits jobs through any manager; hears no heartbeat, fit for any program. */
export { Client, type ClientOptions } from "./client/client.js";
export type { ClientEventMap, ClientEvents } from "./client/client-events.js";
export type { BatchOptions, OnComplete } from "./client/durable/batches/batch-options.js";
export type { BatchReceipt } from "./client/durable/batches/batch-receipt.js";
export type { Batches } from "./client/durable/batches/batches.js";
/** Jobs that are stored in streams, and outlive who enqueues and who runs them. */
export type { Enqueued, EnqueueManyOptions } from "./client/durable/client-lane.js";
export type { CronChange, CronJobOptions, CronOptions, Crons } from "./client/durable/crons.js";
export type { DeadFilter, DeadLetter, DeadLetters } from "./client/durable/dead-letters.js";
export type { EnqueueOptions } from "./client/durable/enqueue-options.js";
/** For operators: how a lane stands, and its dead letters. */
export type { JobLookup } from "./client/durable/job-reads.js";
export type { Limits } from "./client/durable/limits/limits.js";
export { DurableLane, type DurableLaneOptions } from "./client/durable/operator.js";
export type { WaitOptions } from "./client/durable/outcome-wait.js";
export type { Receipt } from "./client/durable/receipt.js";
export { TypedClientPool, type TypedEnqueued, TypedReceipt } from "./client/typed-client-pool.js";
/** Who may do what at a server, such as the one for a worker's metrics. */
export type { AccessOptions } from "./mesh/auth/gate.js";
export type { Then, ThenStep } from "./mesh/durable/after/then.js";
export type { BatchPlace } from "./mesh/durable/batches/batch-place.js";
export type { BatchFailure } from "./mesh/durable/batches/batch-record.js";
export type { BatchStatus } from "./mesh/durable/batches/batch-status.js";
export type { BatchPage, BatchPageOptions } from "./mesh/durable/batches/read-batches.js";
export type { Backoff, DurableJob } from "./mesh/durable/job.js";
export type { Cron, CronTime, Overlap } from "./mesh/durable/later/cron.js";
export type { Limit } from "./mesh/durable/limits/limit.js";
export type { LanePause } from "./mesh/durable/pause/lane-pause.js";
export type { LaneFigures } from "./mesh/durable/shown/figures.js";
/** Every way in which Poolmesh says no, and what a handler throws to say never. */
export {
  CATALOGUE,
  PermanentError,
  PoolError,
  type PoolErrorOptions,
  type Reason,
  type SchemaIssue,
} from "./mesh/errors.js";
export type { EdgeOptions } from "./mesh/http/edge-options.js";
export type { TlsOptions } from "./mesh/http/tls/tls-files.js";
/** How payloads become values: JSON is the default. */
export { bytes, type Codec, type CodecName, json, protobuf, text } from "./mesh/job/codec.js";
/** What a caller hands in and what it hears; the same for Manager and Client. */
export {
  type IndexedOutcome,
  type JobLane,
  JobResult,
  type NextJob,
  type Outcome,
  type Payload,
  type Priority,
  type SubmitManyOptions,
  type SubmitOptions,
  type Submitter,
} from "./mesh/job/job.js";
export type { Middleware } from "./mesh/job/middleware.js";
/** Typed pools: one definition with the schemas of payload and result, for callers and workers. */
export {
  definePool,
  type GivenOf,
  type PayloadOf,
  type PoolDefinition,
  type ReturnedOf,
  type ValueOf,
} from "./mesh/job/pool-definition.js";
export type { Schema, SchemaInput, SchemaOutput } from "./mesh/job/schema.js";
export { type TypedOutcome, TypedPool, TypedResult, type TypedSubmitOptions } from "./mesh/job/typed-pool.js";
/** One connection to the broker, to share between the parts of a program. */
export { Bus, type BusEvent, type BusOptions } from "./mesh/link/bus.js";
export type { PublishOptions } from "./mesh/link/handover.js";
/** What Client, Manager and Worker are all told. */
export type { PartOptions, PoolOption } from "./mesh/link/part-options.js";
export type { Subscription } from "./mesh/link/subscription.js";
/** Payloads over the broker's limit, for Client and Worker. */
export type { LargePayloadOptions } from "./mesh/objects/large-payloads.js";
/** What has a life: start(), stop(), closed. */
export { Lifecycle, type LifecycleState } from "./mesh/process/lifecycle.js";
export type { PoolMember } from "./mesh/process/member.js";
export type { IsolationName, Listen } from "./mesh/process/options.js";
export type { TypedEvents } from "./mesh/process/part-events.js";
/** What pools, workers and jobs may be called. */
export { checkName, isName, MAX_NAME_LENGTH, type NameKind } from "./mesh/wire/subjects.js";
/** Dispatches the jobs of one pool from within a program, without a service in between. */
export { type EngineOptions, Manager, type ManagerHooks, type ManagerOptions } from "./services/manager/manager.js";
/** Runs the jobs of one pool: a function, a handler file in threads or processes, or a command. */
export {
  type CodecPair,
  type Handler,
  type HandlerContext,
  type HandlerOf,
  type Job,
  type JobMiddleware,
  type JobName,
  type JobOf,
  Worker,
  type WorkerEventMap,
  type WorkerEvents,
  type WorkerName,
  type WorkerOptions,
} from "./services/worker/worker.js";
