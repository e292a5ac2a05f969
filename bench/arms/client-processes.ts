/** Poolmesh with handlers in child processes, and a manager that is a service of its own. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";
import { arm as client } from "./client.js";

export const arm = isolatedArm("process", client);
