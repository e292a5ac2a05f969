/** States of stored jobs as messages name them. */
import { JobState } from "../../gen/poolmesh/v1/durable_pb.js";
import type { JobLookup } from "./job-reads.js";

/** The message's value of each state. */
export const JOB_STATES: Readonly<Record<JobLookup["state"], JobState>> = {
  scheduled: JobState.SCHEDULED,
  queued: JobState.QUEUED,
  held: JobState.HELD,
  limited: JobState.LIMITED,
  running: JobState.RUNNING,
  retrying: JobState.RETRYING,
  ended: JobState.ENDED,
};
