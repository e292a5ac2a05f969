/**
 * A worker with `largePayloads`: payloads out of the object store before the handler, large results into it after.
 *
 * Decided here: a job whose payload cannot be read does not run. What will never be there is `job_rejected`, so a
 * stored job is not tried again; a store that does not answer, or has no room, is `job_failed`. Works around every way
 * of running a handler, in the worker's own process.
 */
import { durablePayloadLimit } from "../../../../mesh/durable/job.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { LargePayloads } from "../../../../mesh/objects/large-payloads.js";
import { digestOf, ObjectStore } from "../../../../mesh/objects/object-store.js";
import { decodeReference, encodeReference, isObjectOf, objectName } from "../../../../mesh/objects/reference.js";
import { isA } from "../../../../mesh/thrown.js";
import { isReference } from "../../../../mesh/wire/payloads.js";
import type { Call, Failure, Report, Runner } from "../runner.js";
import { CallAround } from "./call-around.js";

/** What it works with. */
export interface LargeRunnerParts {
  readonly bus: Bus;
  readonly large: LargePayloads;
  /** Hears of jobs that did not reach the handler, or whose result could not be kept. */
  readonly report: Report;
}

export class LargeRunner implements Runner {
  readonly takesObjects = true;
  readonly #runner: Runner;
  readonly #parts: LargeRunnerParts;
  readonly #store: ObjectStore;

  constructor(runner: Runner, parts: LargeRunnerParts) {
    this.#runner = runner;
    this.#parts = parts;
    this.#store = new ObjectStore(parts.bus);
  }

  get isolation(): Runner["isolation"] {
    return this.#runner.isolation;
  }

  get blocking(): boolean {
    return this.#runner.blocking;
  }

  /** @throws PoolError `invalid_argument` when the broker has no JetStream */
  async start(): Promise<void> {
    const { large } = this.#parts;
    if (await this.#store.hasJetStream(large.results.name)) return;
    const message = "largePayloads: the broker has no JetStream, or not for this account: leave the option out";
    throw new PoolError("invalid_argument", message, { field: "largePayloads" });
  }

  run(call: Call): void {
    if (isReference(call.bytes)) void this.#fetchAndRun(call);
    else this.#runner.run(this.#around(call, call.bytes));
  }

  resize(slots: number): void {
    this.#runner.resize(slots);
  }

  async stop(): Promise<void> {
    await this.#runner.stop();
    this.#store.stop();
  }

  async #fetchAndRun(call: Call): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = await this.#fetch(call);
    } catch (thrown) {
      return this.#fail(call, thrown);
    }
    this.#runner.run(this.#around(call, bytes));
  }

  /** @throws PoolError why the payload cannot be read */
  async #fetch({ pool, id, bytes, signal }: Call): Promise<Uint8Array> {
    const { submitted, enqueued, maxBytes } = this.#parts.large;
    const reference = decodeReference(bytes);
    const { bucket, name, size } = reference;
    // Whoever may submit names the object: it is one of this job, in this mesh's buckets.
    const isBucket = bucket === submitted.name || bucket === enqueued.name;
    if (!isBucket || !isObjectOf(reference, pool, id)) throw rejected("foreign", "is no object of this job");
    if (size > maxBytes) throw rejected("too_large", `has ${size} bytes; this worker takes at most ${maxBytes}`);
    const read = await this.#store.get(reference, signal).catch((thrown: unknown) => {
      throw signal.aborted ? signal.reason : failed("payload.unreadable", "the payload cannot be read", thrown);
    });
    if (read.kind === "whole") return read.bytes;
    throw rejected(read.kind, read.kind === "missing" ? `is gone: ${bucket}/${name}` : "is not what was sent");
  }

  #around(call: Call, bytes: Uint8Array): Call {
    return new CallAround(call, { bytes }, (outcome) => {
      if (!outcome.ok || !this.#mustStore(outcome.payload)) call.end(outcome);
      else void this.#endStored(call, outcome.payload);
    });
  }

  #mustStore(payload: Uint8Array): boolean {
    const { bus, large } = this.#parts;
    return payload.length > Math.min(large.thresholdBytes, durablePayloadLimit(bus)) || isReference(payload);
  }

  async #endStored(call: Call, payload: Uint8Array): Promise<void> {
    const { large, bus } = this.#parts;
    try {
      if (payload.length > large.maxBytes) throw tooLarge(payload.length, large.maxBytes);
      const bucket = large.results.name;
      const name = objectName(call.pool, call.id, `${bus.runtime.newId()}${bus.runtime.newSecret()}`);
      const reference = { bucket, name, size: payload.length, digest: await digestOf(payload) };
      await this.#store.put(large.results, reference, payload, call.signal).catch((thrown: unknown) => {
        if (call.signal.aborted) throw call.signal.reason;
        const isFull = isA(thrown, PoolError) && thrown.reason === "pool_full";
        throw failed(isFull ? "result.store_full" : "result.unwritable", "the result cannot be kept", thrown, true);
      });
      call.end({ ok: true, payload: encodeReference(reference) });
    } catch (thrown) {
      this.#fail(call, thrown);
    }
  }

  #fail(call: Call, thrown: unknown): void {
    const failure: Failure = { ok: false, error: toPoolError(thrown) };
    if (!call.signal.aborted) this.#parts.report(call, failure);
    call.end(failure);
  }
}

/** It did not run, and never will. */
function rejected(code: string, why: string): PoolError {
  return new PoolError("job_rejected", `the payload ${why}; the job did not run`, { jobCode: `payload.${code}` });
}

function failed(jobCode: string, what: string, thrown: unknown, maybeExecuted = false): PoolError {
  const message = `${what}: ${toPoolError(thrown).message}`;
  return new PoolError("job_failed", message, { jobCode, maybeExecuted, cause: thrown });
}

function tooLarge(bytes: number, most: number): PoolError {
  const message = `the result has ${bytes} bytes; largePayloads.maxBytes is ${most}`;
  return new PoolError("payload_too_large", message, { field: "result", maybeExecuted: true });
}
