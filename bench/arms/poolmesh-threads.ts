/** Poolmesh with handlers in threads. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";

export const arm = isolatedArm("thread");
