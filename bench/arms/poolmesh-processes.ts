/** Poolmesh with handlers in child processes, and a manager that is embedded in the caller. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";
import { arm as embedded } from "./poolmesh.js";

export const arm = isolatedArm("process", embedded);
