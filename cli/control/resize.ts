/** `poolmesh resize`: workers get another number of slots; running jobs keep theirs. */
import type { Command } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { MAX_SLOTS } from "../../mesh/wire/heartbeat-codec.js";
import type { Shell } from "../shell.js";
import { wholeNumber } from "../spec-options.js";
import { ANSWER_LIMIT_MS, type ControlFlags, defineRemote, defineSelection, runControl } from "./control.js";

const HELP = `
Below what is busy nothing is killed: slots go as their jobs end.

Examples:
  poolmesh resize worker-3 8
  poolmesh resize --pool digest 2
  poolmesh resize --pool digest --label zone=b --slots 2`;

interface ResizeFlags extends ControlFlags {
  readonly slots?: number;
}

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  defineSelection(command);
  defineRemote(command);
  command.argument("[SLOTS]", "slots of each worker; the last word, or --slots");
  command.option("--slots <N>", "slots of each worker", wholeNumber(1, MAX_SLOTS));
  command.action((first: string | undefined, second: string | undefined, flags: ResizeFlags) => {
    const { worker, slots } = toTarget(first, second, flags.slots);
    const request = { case: "resize", value: { slots } } as const;
    return runControl(shell, worker, flags, { verb: "resize", request, limitMs: ANSWER_LIMIT_MS });
  });
}

/** The words of the command line: the number is the last one, unless a flag says it. @throws PoolError `invalid_argument` */
function toTarget(first?: string, second?: string, flag?: number): { worker: string | undefined; slots: number } {
  if (flag === undefined) return { worker: second === undefined ? undefined : first, slots: toSlots(second ?? first) };
  if (second !== undefined) throw refuse("say the number once: as the last word, or with --slots");
  return { worker: first, slots: flag };
}

function toSlots(text: string | undefined): number {
  const slots = /^\d{1,6}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (slots >= 1 && slots <= MAX_SLOTS) return slots;
  throw refuse(`say how many, from 1 to ${MAX_SLOTS}: poolmesh resize WORKER 16`);
}

function refuse(why: string): PoolError {
  return new PoolError("invalid_argument", `slots: ${why}`, { field: "slots" });
}
