/** The flags that say which of the managers' jobs are meant. */
import { create } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { STATE_WORDS, type StateWord } from "../../browser/job-words.js";
import { type JobFilter, JobFilterSchema } from "../../gen/poolmesh/v1/job_pb.js";
import { CATALOGUE } from "../../mesh/errors.js";

export interface FilterFlags {
  readonly reason?: string;
  readonly client?: string;
  readonly worker?: string;
  readonly idPrefix?: string;
}

/** @param group their heading in `--help` */
export function addFilterOptions(command: Command, group: string): void {
  const reasons = Object.keys(CATALOGUE);
  const options = [
    new Option("--reason <REASON>", "only jobs that failed for this reason, such as job_failed").choices(reasons),
    new Option("--client <CLIENT>", "only jobs of this client"),
    new Option("--worker <WORKER>", "only jobs of this worker"),
    new Option("--id-prefix <TEXT>", "only jobs whose id begins so"),
  ];
  // The reasons are many, and in the README.
  for (const option of options) command.addOption(option.helpGroup(group));
}

export function toFilter(pool: string | undefined, state: StateWord | undefined, flags: FilterFlags): JobFilter {
  const { reason = "", client = "", worker = "", idPrefix = "" } = flags;
  const states = state === undefined ? [] : [STATE_WORDS[state]];
  return create(JobFilterSchema, { pool: pool ?? "", states, reason, client, worker, jobIdPrefix: idPrefix });
}

/** Whether any of these flags was given. */
export function hasFilter({ reason, client, worker, idPrefix }: FilterFlags): boolean {
  return [reason, client, worker, idPrefix].some((each) => each !== undefined);
}
