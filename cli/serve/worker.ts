/** `poolmesh worker`: the worker service in this process. */
import type { Command } from "commander";
import { WORKER_CONFIG } from "../../services/worker/config.js";
import type { Shell } from "../shell.js";
import { addSpecs, toFlags } from "../spec-options.js";

const HELP = `
A handler file exports run(job), or has it as its default export, and perhaps
codec ("json", "text", "bytes"). --exec gets the payload on stdin and JOB_ID,
JOB_POOL, JOB_ATTEMPT (1, 2, 3), JOB_WORKER and JOB_DEADLINE_MS in its environment.
SIGTERM drains: what runs is finished within the grace. A second one ends it at once.

Examples:
  poolmesh worker --pool adder --handler adder.ts --slots 4
  poolmesh worker --pool digest --handler digest.ts --isolation thread --slots 2
  poolmesh worker --pool shout --exec "tr a-z A-Z"`;

/** Adds the service's own options; its main() reads and checks them. */
export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  addSpecs(command, WORKER_CONFIG);
  command.action(async (options: Record<string, unknown>) => {
    const { main } = await import("../../services/worker/main.js");
    shell.exitCode = await main(toFlags(options));
  });
}
