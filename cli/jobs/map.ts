/** `poolmesh map`: a job for each line or file, an NDJSON line for each outcome. */
import type { Command } from "commander";
import { Client } from "../../client/client.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT_CODES_HELP } from "../exit-codes.js";
import { withLink } from "../link.js";
import type { Shell } from "../shell.js";
import { wholeNumber } from "../spec-options.js";
import { addJobOptions, toSubmitOptions } from "./job-options.js";
import { type MapFlags, MapRun } from "./map/map-run.js";
import { openSource } from "./map/sources.js";

const HELP = `
Each outcome is one line of JSON on stdout: index, input, result (or error), worker,
attempts, ms. A result that is JSON keeps its own text, so no number is rounded; what
is not UTF-8 stands under inputBase64 or resultBase64. Inputs are read no faster than
results leave, so stdin may be endless. On a terminal a progress bar is drawn on stderr.

Ctrl-C reads no more, waits for what runs, and says how to go on with --skip N. A
second one cancels what runs. Exits with 1 when a job failed, with 130 when stopped.

A job that nobody could take, because the broker or every manager was away, is tried
again until its deadline. A pool that no worker serves ends it at once, unless
--wait-for-pool is given.

Examples:
  seq 1000 | poolmesh map adder > results.ndjson
  poolmesh map fetch --lines urls.txt --ordered --window 64
  poolmesh map digest --files "src/**/*.ts" --paths
  tail -f access.log | poolmesh map parse | jq .result

${EXIT_CODES_HELP}`;

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the pool that is to run them")
    .option("--lines <FILE>", "a job for each line of this file; default stdin")
    .option("--files <GLOB...>", "a job for each file: *, ?, **, [ab] and {a,b}; the payload is its content")
    .option("--paths", "with --files: the payload is the path")
    .option("--ordered", "outcomes in the order of the inputs instead of as they come")
    .option("--skip <N>", "leave out the first N inputs", wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
    .option("--window <N>", "jobs under way at once", wholeNumber(1, 65_536), 256)
    .addHelpText("after", HELP);
  addJobOptions(command);
  command.action(async (pool: string, flags: MapFlags) => {
    checkName("pool", pool);
    const submitOptions = toSubmitOptions(shell, flags);
    const source = await openSource(shell, flags);
    await withLink(shell, { ...flags, pool: undefined }, async (link) => {
      const client = await Client.connect(pool, { bus: link.bus, prefix: link.subjects.prefix });
      try {
        shell.exitCode = await new MapRun(shell, link, pool, flags, source).run(client, submitOptions);
      } finally {
        await client.close();
      }
    });
  });
}
