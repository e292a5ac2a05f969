/** `poolmesh pause`: workers take nothing new until they are resumed. */
import type { Command } from "commander";
import type { Shell } from "../shell.js";
import { ANSWER_LIMIT_MS, type ControlFlags, defineRemote, defineSelection, runControl } from "./control.js";

const HELP = `
Examples:
  poolmesh pause worker-3
  poolmesh pause --pool digest`;

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  defineSelection(command);
  defineRemote(command);
  command.action((worker: string | undefined, flags: ControlFlags) =>
    runControl(shell, worker, flags, {
      verb: "pause",
      request: { case: "pause", value: {} },
      limitMs: ANSWER_LIMIT_MS,
    }),
  );
}
