/** `poolmesh drain`: workers take nothing new, finish what they have, and leave. */
import type { Command } from "commander";
import type { Shell } from "../shell.js";
import { ANSWER_LIMIT_MS, type ControlFlags, defineRemote, defineSelection, runControl } from "./control.js";

/** How long a drain is waited for, in milliseconds. */
const DRAIN_LIMIT_MS = 600_000;

const HELP = `
Returns when the workers are empty (at most ten minutes), with --no-wait as soon as
they have agreed. A worker that \`poolmesh up\` supervises is not started again.

Examples:
  poolmesh drain worker-3
  poolmesh drain --pool digest --count 3
  poolmesh drain --pool digest --label zone=b --no-wait`;

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP).option("--wait", "return when they are empty (the default)");
  command.option("--no-wait", "return as soon as they have agreed");
  defineSelection(command);
  defineRemote(command);
  command.action((worker: string | undefined, flags: ControlFlags & { wait?: boolean }) => {
    const wait = flags.wait ?? true;
    return runControl(shell, worker, flags, {
      verb: "drain",
      request: { case: "drain", value: { wait } },
      limitMs: wait ? DRAIN_LIMIT_MS : ANSWER_LIMIT_MS,
    });
  });
}
