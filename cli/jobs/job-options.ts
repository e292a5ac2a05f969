/** The flags that every command with jobs has, and what they become. */
import { type Command, Option } from "commander";
import type { SubmitOptions } from "../../mesh/job/job.js";
import { OPTIONS, pick } from "../../mesh/process/options.js";
import { RESULT_FORMS, type ResultForm } from "../output/result-fields.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS, readOptions } from "../spec-options.js";

/** The declared options of a command with jobs. */
const JOB_SPECS = { ...pick(["timeoutMs"]), ...BUS_SPECS };

/** The flags, as commander gives them. */
export interface JobFlags {
  readonly priority?: "high" | "normal" | "low";
  readonly idempotent?: boolean;
  readonly wait?: boolean;
  readonly waitForPool?: boolean;
  readonly client?: string;
  readonly codec: ResultForm;
  readonly [name: string]: unknown;
}

/** Adds them. */
export function addJobOptions(command: Command): void {
  const priorities = ["high", "normal", "low"];
  command
    .addOption(
      new Option("--priority <WHICH>", "who goes first among parked jobs").choices(priorities).default("normal"),
    )
    .option("--idempotent", "may run a second time when its worker dies")
    .option("--no-wait", "fail with pool_full or no_workers at once instead of waiting for a slot")
    .option("--wait-for-pool", "wait, until the deadline, for a pool that no worker serves yet")
    .option("--client <NAME>", "whose share of the parked queue it counts for")
    .addOption(new Option("--codec <FORM>", "how payloads are read and shown").choices(RESULT_FORMS).default("auto"));
  addSpecs(command, { ...JOB_SPECS, timeoutMs: OPTIONS.timeoutMs });
}

/**
 * What the flags say of each job.
 *
 * @throws PoolError `invalid_argument`: configuration
 */
export function toSubmitOptions(shell: Shell, flags: JobFlags): SubmitOptions & { readonly timeoutMs: number } {
  const { timeoutMs } = readOptions(shell, flags, JOB_SPECS);
  return {
    timeoutMs,
    priority: flags.priority ?? "normal",
    ...(flags.idempotent ? { idempotent: true } : {}),
    ...(flags.wait === false ? { wait: false } : {}),
    ...(flags.waitForPool ? { waitForPool: true } : {}),
    ...(flags.client === undefined ? {} : { client: flags.client }),
  };
}
