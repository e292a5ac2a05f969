/** `poolmesh top`: the meter's live view in a terminal. */
import type { Command } from "commander";
import { checkName } from "../../mesh/wire/subjects.js";
import { METER_LISTEN } from "../../services/meter/config.js";
import { addRemoteOptions, type RemoteFlags, readRemote } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { onQuitKey } from "./keys.js";
import { runTop } from "./top.js";

const DEFAULT_METER = `http://${METER_LISTEN.host}:${METER_LISTEN.port}`;
const DEFAULT_ROWS = 24;

const HELP = `
Pools with their utilization, parked jobs and throughput, and workers with their slots,
as a meter sees them; q or Ctrl-C ends it. A narrow terminal gets fewer columns. Into
a pipe go plain lines. When no meter answers within a few seconds it exits with 69.

Examples:
  poolmesh top
  poolmesh top digest --once
  poolmesh top --meter http://meter:8090 --json | jq .total.utilization
  poolmesh top --meter https://meter:8090 --ca-file ca.pem --token-file viewer.token`;

interface TopFlags extends RemoteFlags {
  readonly meter: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("[POOL]", "only this pool")
    .option("--meter <URL>", "the meter to ask", DEFAULT_METER)
    .option("--once", "show it once and end")
    .option("--json", "a JSON object a line")
    .addHelpText("after", HELP);
  addRemoteOptions(command);
  command.action(async (pool: string | undefined, flags: TopFlags) => {
    if (pool !== undefined) checkName("pool", pool);
    const abort = new AbortController();
    const offSignal = shell.onSignal((_signal, count) => (count > 1 ? shell.exitNow(130) : abort.abort()));
    const { stdout } = shell;
    const isLive = stdout.isTerminal && flags.once !== true && flags.json !== true;
    const offKeys = isLive ? onQuitKey(shell.stdin, () => abort.abort()) : () => {};
    try {
      await runTop({
        meterUrl: flags.meter,
        remote: readRemote(shell, flags),
        once: flags.once ?? false,
        json: flags.json ?? false,
        stdout: stdout.stream,
        isTTY: stdout.isTerminal,
        columns: stdout.columns,
        rows: stdout.stream.rows ?? DEFAULT_ROWS,
        noColor: !stdout.color,
        signal: abort.signal,
        ...(pool === undefined ? {} : { pool }),
      });
    } finally {
      offKeys();
      offSignal();
    }
  });
}
