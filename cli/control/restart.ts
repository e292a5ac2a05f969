/** `poolmesh restart`: workers of `poolmesh up`, one by one, losing nothing. */
import type { Command } from "commander";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { readErrorHeaders } from "../../mesh/wire/error-headers.js";
import { decodeReplyHeaders } from "../../mesh/wire/headers.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";
import { EXIT, errorText } from "../exit-codes.js";
import { type Link, withLink } from "../link.js";
import type { Shell } from "../shell.js";
import { type ControlFlags, defineSelection, findWorkers, toSelection } from "./control.js";

const HELP = `
Each worker is drained, started again by the \`poolmesh up\` that supervises it, and
READY before the next one goes. Callers see no error. A worker that was started by
something else is named and left alone.

Examples:
  poolmesh restart --pool digest
  poolmesh restart worker-3`;

/** How long one worker may take to be empty and READY again, in milliseconds. */
const RESTART_LIMIT_MS = 660_000;

export function define(command: Command, shell: Shell): void {
  command.addHelpText("after", HELP);
  defineSelection(command);
  command.action((worker: string | undefined, flags: ControlFlags) => runRestart(shell, worker, flags));
}

async function runRestart(shell: Shell, worker: string | undefined, flags: ControlFlags): Promise<void> {
  const selection = toSelection(worker, flags);
  const done: { pool: string; worker: string; ms: number }[] = [];
  await withLink(shell, { ...flags, pool: undefined }, async (link) => {
    for (const each of (await findWorkers(link, selection, "restart")).chosen) {
      const { pool, worker: name } = each;
      const begunAt = performance.now();
      try {
        await askRestart(link, each);
        done.push({ pool, worker: name, ms: Math.round(performance.now() - begunAt) });
        if (!flags.json) await shell.stdout.line(`${pool}/${name}  restarted in ${done.at(-1)?.ms} ms`);
      } catch (error) {
        shell.exitCode = EXIT.failed;
        await shell.stderr.line(`poolmesh: ${pool}/${name}: ${errorText(error)}`);
      }
    }
  });
  if (flags.json) await shell.stdout.line(JSON.stringify(done, null, 2));
}

/** Resolves when the worker is READY again. @throws PoolError `not_found`, `deadline_exceeded`, what its supervisor says */
async function askRestart({ bus, inbox, subjects }: Link, { pool, worker }: Heartbeat): Promise<void> {
  bus.requireConnected();
  const answer = await inbox.ask({ subject: subjects.restart(pool, worker), limitMs: RESTART_LIMIT_MS });
  if (answer.kind === "absent") throw notSupervised();
  if (answer.kind === "silent") throw new PoolError("deadline_exceeded", "it was not READY again in time");
  const headers = headersOf(answer.msg);
  if (headers !== undefined && decodeReplyHeaders(headers).kind === "error") throw readErrorHeaders(headers);
}

function notSupervised(): PoolError {
  return new PoolError("not_found", "no `poolmesh up` supervises it: drain it and start it again where it runs");
}
