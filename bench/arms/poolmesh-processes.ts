/** Poolmesh with handlers in child processes. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";

export const arm = isolatedArm("process");
