/** `poolmesh pause-pool`: stored jobs of one pool do not begin until it is resumed. */
import type { Command } from "commander";
import { LEVELS } from "../../mesh/durable/names.js";
import type { LanePause } from "../../mesh/durable/pause/lane-pause.js";
import { MAX_PAUSE_MS } from "../../mesh/durable/pause/pool-pause.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { jsonLine } from "../output/json-text.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { withLaneSource } from "./lane-source.js";

const HELP = `
Jobs of the durable lane can be enqueued, and none begins, at any manager. What runs goes on.
The broker keeps the pause, so it outlives managers and the broker itself. It needs nats-server
2.11. Jobs of submit are not stored, and run on: to pause workers, see poolmesh pause.

Examples:
  poolmesh pause-pool invoice
  poolmesh pause-pool invoice --for-ms 600000
  poolmesh resume-pool invoice
  poolmesh pause-pool invoice --url https://manager:8080 --ca-file ca.pem --token-file ops.token`;

interface PauseFlags extends UrlFlags {
  readonly forMs?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the jobs' pool")
    .option("--for-ms <MS>", "go on by itself after so long, milliseconds; default never", wholeNumber(1, MAX_PAUSE_MS))
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP);
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string, flags: PauseFlags) => {
    checkName("pool", pool);
    const paused = await withLaneSource(shell, flags, (source) => source.pause(pool, flags.forMs), {
      controls: true,
    });
    await shell.stdout.line(flags.json ? jsonLine({ pool, paused }) : `${pool} is ${pausedText(paused)}`);
    shell.exitCode = EXIT.ok;
  });
}

/** What of a lane is paused and until when, such as "paused until it is resumed". */
export function pausedText({ levels, until }: LanePause): string {
  const which = levels.length === LEVELS.length ? "paused" : `paused in part (${levels.join(", ")})`;
  return until === undefined ? `${which} until it is resumed` : `${which} until ${until.toISOString()}`;
}
