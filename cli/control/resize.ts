/** `poolmesh resize`: workers get another number of slots; running jobs keep theirs. */
import type { Command } from "commander";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { MAX_SLOTS } from "../../mesh/wire/heartbeat-codec.js";
import type { Shell } from "../shell.js";
import { wholeNumber } from "../spec-options.js";
import { ANSWER_LIMIT_MS, type ControlFlags, defineSelection, runControl } from "./control.js";

const HELP = `
Below what is busy nothing is killed: slots go as their jobs end.

Examples:
  poolmesh resize worker-3 --slots 8
  poolmesh resize --pool digest --slots 2`;

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP).requiredOption("--slots <N>", "slots of each worker", wholeNumber(1, MAX_SLOTS));
  defineSelection(command);
  command.action((worker: string | undefined, flags: ControlFlags & { slots: number }) =>
    runControl(shell, worker, flags, {
      request: { case: "resize", value: { slots: flags.slots } },
      fits: (state) => state !== WorkerState.DRAINING && state !== WorkerState.STOPPED,
      limitMs: ANSWER_LIMIT_MS,
    }),
  );
}
