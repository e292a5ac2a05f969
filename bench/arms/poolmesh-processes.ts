/** Poolmesh with handlers in child processes. */
import { isolatedArm } from "../harness/isolated-worker.js";

export const arm = isolatedArm("process");
