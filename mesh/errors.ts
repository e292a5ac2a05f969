/**
 * The error catalogue: every way in which Poolmesh says no.
 *
 * One class, one table. It is translated in two places: for NATS headers in
 * mesh/wire/error-headers.ts, for Connect codes in mesh/wire/connect-errors.ts.
 * Nothing else makes up a code.
 */
import type { Code } from "@connectrpc/connect";
import { isA } from "./thrown.js";

export { MAX_MESSAGE_LENGTH, safeMessage, withoutUrlUsers } from "./safe-message.js";

interface CatalogueEntry {
  /** The Connect (and gRPC) code. */
  readonly code: Code;
  /** The HTTP-like number in ADR-32's Nats-Service-Error-Code. */
  readonly number: number;
  /** Whether the same call may succeed later; "idempotent": only when the job is. */
  readonly retryable: boolean | "idempotent";
  /** When it happens, for docs and `--help`. */
  readonly when: string;
}

/** Connect's own numbers. As values of its package they would make every program load all of it. */
const CODE = {
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const satisfies { readonly [K in keyof typeof Code]?: (typeof Code)[K] };

/** Reason → code, number, retryable. A test walks it and docs/protocol.md prints it. */
export const CATALOGUE = {
  invalid_argument: {
    code: CODE.InvalidArgument,
    number: 400,
    retryable: false,
    when: "a name, payload, header or deadline is unacceptable; names the field",
  },
  unknown_pool: {
    code: CODE.NotFound,
    number: 404,
    retryable: true,
    when: "no worker has ever sent a heartbeat for this pool",
  },
  no_workers: {
    code: CODE.Unavailable,
    number: 503,
    retryable: true,
    when: "the pool has no READY worker and the caller does not want to wait",
  },
  pool_full: { code: CODE.ResourceExhausted, number: 429, retryable: true, when: "parked jobs are at their bound" },
  payload_too_large: {
    code: CODE.ResourceExhausted,
    number: 413,
    retryable: false,
    when: "over the broker's max_payload; refused before publishing",
  },
  draining: { code: CODE.Unavailable, number: 503, retryable: true, when: "offered to something that is leaving" },
  deadline_exceeded: { code: CODE.DeadlineExceeded, number: 504, retryable: false, when: "the job's own deadline" },
  canceled: { code: CODE.Canceled, number: 499, retryable: false, when: "the caller gave up" },
  worker_lost: {
    code: CODE.Unavailable,
    number: 502,
    retryable: "idempotent",
    when: "its worker died; the job may have run",
  },
  job_failed: { code: CODE.Unknown, number: 500, retryable: false, when: "the handler threw" },
  job_rejected: {
    code: CODE.FailedPrecondition,
    number: 422,
    retryable: false,
    when: "the handler threw PermanentError",
  },
  duplicate_job: {
    code: CODE.AlreadyExists,
    number: 409,
    retryable: false,
    when: "the id is live with another payload, for another client, or at this client already",
  },
  not_found: { code: CODE.NotFound, number: 404, retryable: false, when: "the job or worker id is unknown" },
  bus_unavailable: { code: CODE.Unavailable, number: 503, retryable: true, when: "not connected to the broker" },
  unauthenticated: { code: CODE.Unauthenticated, number: 401, retryable: false, when: "no valid credentials" },
  permission_denied: { code: CODE.PermissionDenied, number: 403, retryable: false, when: "not allowed" },
  internal: { code: CODE.Internal, number: 500, retryable: false, when: "a bug" },
} as const satisfies Record<string, CatalogueEntry>;

/** One of the catalogue's reasons. */
export type Reason = keyof typeof CATALOGUE;

/** One thing that is wrong with a value: where, and why. */
export interface SchemaIssue {
  /** Such as ".items[3].name"; "" for the value itself. */
  readonly path: string;
  /** In the words of the schema's library. */
  readonly message: string;
}

/** What an error may carry besides its reason and message. */
export interface PoolErrorOptions {
  /** Overrides the catalogue where it says "idempotent", or where the job's own data decide. */
  retryable?: boolean;
  /** When to try again, in milliseconds. */
  retryAfterMs?: number;
  /** The job may have run although no result came back. */
  maybeExecuted?: boolean;
  /** The field or argument that was refused. */
  field?: string;
  /** With `pool_full`: busy ÷ capacity, and jobs parked. */
  utilization?: number;
  parked?: number;
  /** With `job_failed` and `job_rejected`: the handler's own code for it: 1 to 64 letters, digits, `_`, `.`, `:` and `-`. Of a typed pool: "schema.…". */
  jobCode?: string;
  /** What is wrong with a value that does not fit a typed pool's schema. Only where it was checked; the message crosses the wire. */
  issues?: readonly SchemaIssue[];
  cause?: unknown;
}

/** The one error class. `message` is for a person: no stack, no path, no secret, no raw input. */
export class PoolError extends Error {
  override readonly name = "PoolError";
  readonly reason: Reason;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly maybeExecuted: boolean;
  readonly field: string | undefined;
  readonly utilization: number | undefined;
  readonly parked: number | undefined;
  /** The handler's own, stable code for what went wrong, such as "card.declined"; undefined when it gave none. */
  readonly jobCode: string | undefined;
  /** At who checked a value by the schema of a typed pool: what is wrong with it. Undefined for all other errors. */
  readonly issues: readonly SchemaIssue[] | undefined;

  constructor(reason: Reason, message: string, options: PoolErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.retryable = options.retryable ?? CATALOGUE[reason].retryable === true;
    this.retryAfterMs = options.retryAfterMs;
    this.maybeExecuted = options.maybeExecuted ?? false;
    this.field = options.field;
    this.utilization = options.utilization;
    this.parked = options.parked;
    this.jobCode = isJobCode(options.jobCode) ? options.jobCode : undefined;
    this.issues = options.issues;
  }

  /** The Connect code of this reason. */
  get code(): Code {
    return CATALOGUE[this.reason].code;
  }
}

/** The mark of every PermanentError: a handler may have loaded another copy of this package than its worker. */
const PERMANENT = Symbol.for("poolmesh.PermanentError");

/**
 * Thrown by a handler that will never succeed with this payload: `job_rejected` at the caller.
 *
 * A subclass counts too, whatever its `name`. A `code` of 1 to 64 letters, digits, `_ . : -` reaches the caller.
 */
export class PermanentError extends Error {
  override readonly name: string = "PermanentError";

  get [PERMANENT](): true {
    return true;
  }
}

/** Whether a thrown value is a PermanentError, of this copy of the package or of another. May throw what its getters throw. */
export function isPermanent(thrown: unknown): boolean {
  if (typeof thrown !== "object" || thrown === null) return false;
  return PERMANENT in thrown || (thrown as { name?: unknown }).name === "PermanentError";
}

/** Whether a value can be the code of a failed job: 1 to 64 letters, digits, `_`, `.`, `:` and `-`. */
export function isJobCode(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9_.:-]{1,64}$/.test(value);
}

/**
 * The one text for a pool that there is not, whoever says it.
 *
 * @param near the pool that was perhaps meant
 * @param retryAfterMs when to ask again, milliseconds
 */
export function unknownPool({ near, retryAfterMs }: { near?: string; retryAfterMs?: number } = {}): PoolError {
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  const more = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new PoolError("unknown_pool", `${CATALOGUE.unknown_pool.when}${hint}`, { field: "pool", ...more });
}

/** What a job ends with that its caller gave up. @param maybeExecuted whether it may have run */
export function jobCanceled(maybeExecuted = false): PoolError {
  return new PoolError("canceled", "the caller canceled the job", { maybeExecuted });
}

/** Whether `reason` is in the catalogue. */
export function isReason(reason: string): reason is Reason {
  return Object.hasOwn(CATALOGUE, reason);
}

/** Any thrown value as a PoolError; what is not one is a bug of ours, so its message stays inside. */
export function toPoolError(thrown: unknown): PoolError {
  if (isA(thrown, PoolError)) return thrown;
  return new PoolError("internal", "internal error", { cause: thrown });
}
