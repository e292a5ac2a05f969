/** Adds one: the smallest handler there is. `poolmesh submit adder 41` prints 42. */
import { type Job, PermanentError } from "../../index.js";

/** A number in, that number and one out; anything else will never succeed. */
export function run(job: Job): number {
  if (typeof job.payload !== "number") throw new PermanentError("the payload is not a number");
  return job.payload + 1;
}
