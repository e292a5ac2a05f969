/** Adds one. It loads nothing, so a worker that runs it is up as soon as the worker itself is. */
import type { Job } from "../../../index.js";

/** A number in, that number and one out. */
export const run = (job: Job<number>): number => job.payload + 1;
