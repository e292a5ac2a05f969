/** `poolmesh cancel`: ends one job wherever it is. */
import type { Command } from "commander";
import { askCancel } from "../../mesh/link/ask-cancel.js";
import { withLink } from "../link.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS } from "../spec-options.js";

const HELP = `
The job's caller hears "canceled", and its handler's AbortSignal fires. Exits with 1
when nobody has a live job with this id.

Examples:
  poolmesh submit slow 60000 --id job-1 &
  poolmesh cancel slow job-1`;

export function define(command: Command, shell: Shell): void {
  command.argument("<POOL>", "the job's pool").argument("<JOB>", "the job's id").addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  command.action((pool: string, job: string, options: Record<string, unknown>) =>
    withLink(shell, options, ({ bus, inbox, subjects }) => askCancel(bus, { inbox, subjects }, pool, job)),
  );
}
