/** `poolmesh resume`: paused workers take jobs again. */
import type { Command } from "commander";
import type { Shell } from "../shell.js";
import { ANSWER_LIMIT_MS, type ControlFlags, defineRemote, defineSelection, runControl } from "./control.js";

const HELP = `
Examples:
  poolmesh resume worker-3
  poolmesh resume --pool digest`;

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  defineSelection(command);
  defineRemote(command);
  command.action((worker: string | undefined, flags: ControlFlags) =>
    runControl(shell, worker, flags, {
      verb: "resume",
      request: { case: "resume", value: {} },
      limitMs: ANSWER_LIMIT_MS,
    }),
  );
}
