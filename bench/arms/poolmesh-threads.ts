/** Poolmesh with handlers in threads, and a manager that is embedded in the caller. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";
import { arm as embedded } from "./poolmesh.js";

export const arm = isolatedArm("thread", embedded);
