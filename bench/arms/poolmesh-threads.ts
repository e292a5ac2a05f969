/** Poolmesh with handlers in threads. */
import { isolatedArm } from "../harness/isolated-worker.js";

export const arm = isolatedArm("thread");
