/** What the command's exit code means. Pure. The numbers over 63 are those of sysexits. */
import { PoolError, type Reason } from "../mesh/errors.js";

/** Every exit code by its meaning. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unavailable: 69,
  tryLater: 75,
  noPermission: 77,
  config: 78,
  interrupted: 130,
} as const;

const BY_REASON: Readonly<Record<Reason, number>> = {
  invalid_argument: EXIT.usage,
  unknown_pool: EXIT.unavailable,
  no_workers: EXIT.unavailable,
  pool_full: EXIT.tryLater,
  payload_too_large: EXIT.failed,
  draining: EXIT.unavailable,
  deadline_exceeded: EXIT.failed,
  canceled: EXIT.failed,
  worker_lost: EXIT.failed,
  job_failed: EXIT.failed,
  job_rejected: EXIT.failed,
  duplicate_job: EXIT.failed,
  not_found: EXIT.failed,
  bus_unavailable: EXIT.unavailable,
  unauthenticated: EXIT.noPermission,
  permission_denied: EXIT.noPermission,
  internal: EXIT.failed,
};

/** For the end of `--help`. */
export const EXIT_CODES_HELP = `Exit codes:
  0   done
  1   the job failed, was rejected, canceled, lost or out of time
  2   wrong usage
  69  not available now: no broker, no manager, no worker
  75  try later: the pool is full
  77  no permission
  78  wrong configuration
  130 interrupted`;

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof PoolError)) return EXIT.failed;
  return isConfigError(error) ? EXIT.config : BY_REASON[error.reason];
}

/** Whether it is readConfig's list of mistakes. */
function isConfigError(error: PoolError): boolean {
  return error.reason === "invalid_argument" && error.message.startsWith("configuration:");
}

/** An error as one line for stderr, without the program's name. */
export function errorText(error: unknown): string {
  if (error instanceof PoolError) {
    if (isConfigError(error)) return error.message;
    const prefix = `${error.reason}: `;
    const message = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
    return `${prefix}${message}${codeHint(error)}${retryHint(error)}${error.maybeExecuted ? " (it may have run)" : ""}`;
  }
  return error instanceof Error ? error.message : String(error);
}

function codeHint(error: PoolError): string {
  const code = error.jobCode;
  return code === undefined ? "" : ` (code ${code})`;
}

function retryHint(error: PoolError): string {
  if (error.reason !== "pool_full" || error.retryAfterMs === undefined) return "";
  return ` (try again in ${Math.ceil(error.retryAfterMs)} ms)`;
}
