/** `poolmesh nats`: the embedded broker alone, until it is told to stop. */
import type { Command } from "commander";
import { PoolError } from "../../mesh/errors.js";
import { EXIT } from "../exit-codes.js";
import type { Shell } from "../shell.js";
import { wholeNumber } from "../spec-options.js";
import { startBroker } from "./embedded-broker.js";

const HELP = `
Finds nats-server on this machine or installs it, and starts it with JetStream on
127.0.0.1: on port 4222 when that is free, else on any. Ctrl-C stops it.

Examples:
  poolmesh nats
  poolmesh nats --port 4333 --store-dir ./jetstream`;

interface NatsFlags {
  readonly port?: number;
  readonly storeDir?: string;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command
    .option("--port <N>", "port to listen on; 0 is any free one", wholeNumber(0, 65_535))
    .option("--store-dir <DIR>", "where JetStream keeps its data; default a folder that goes with the broker")
    .option("--json", "print the ready line as JSON")
    .addHelpText("after", HELP)
    .action(async (flags: NatsFlags) => {
      shell.exitCode = await runNats(shell, flags);
    });
}

async function runNats(shell: Shell, flags: NatsFlags): Promise<number> {
  const port = flags.port === undefined ? "prefer-default" : flags.port === 0 ? "any" : flags.port;
  const broker = await startBroker(shell, {
    port,
    ...(flags.storeDir === undefined ? {} : { storeFolder: flags.storeDir }),
  });
  const offSignal = shell.onSignal((_signal, count) => {
    if (count > 1) broker.signal("SIGKILL");
    void broker.stop();
  });
  const ready = { ready: true, nats: broker.url, pid: broker.pid };
  await shell.stdout.line(flags.json ? JSON.stringify(ready) : `ready nats=${broker.url} pid=${broker.pid}`);
  const error = await broker.closed;
  await broker.stop();
  offSignal();
  if (error === undefined) return EXIT.ok;
  throw error instanceof PoolError ? error : new PoolError("bus_unavailable", error.message, { cause: error });
}
