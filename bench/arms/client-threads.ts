/** Poolmesh with handlers in threads, and a manager that is a service of its own. */
import { isolatedArm } from "../harness/processes/isolated-worker.js";
import { arm as client } from "./client.js";

export const arm = isolatedArm("thread", client);
