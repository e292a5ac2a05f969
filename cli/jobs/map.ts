/** `poolmesh map`: a job for each line or file, an NDJSON line for each outcome. */
import type { Command } from "commander";
import { Client } from "../../client/client.js";
import { PoolError } from "../../mesh/errors.js";
import type { SubmitOptions } from "../../mesh/job/job.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT_CODES_HELP } from "../exit-codes.js";
import { withLink } from "../link.js";
import { addUrlOptions, readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import { addSpecs, wholeNumber } from "../spec-options.js";
import { addJobOptions, toSubmitOptions } from "./job-options.js";
import { DurableStarter } from "./map/durable-starter.js";
import { type MapFlags, MapRun } from "./map/map-run.js";
import { type MapStarter, PatientStarter } from "./map/patient-starter.js";
import { openSource } from "./map/sources.js";
import { PoolScout } from "./pool-scout.js";
import { LARGE_SPECS, readLarge } from "./submit.js";
import { doubtOf, WaitNote } from "./wait-note.js";

const HELP = `
Each outcome is one line of JSON on stdout: index, input, result (or error), worker,
attempts, waitMs, ms. A result that is JSON keeps its own text, so no number is rounded;
what is not UTF-8 stands under inputBase64 or resultBase64. waitMs: until it was sent to
its worker; ms: until its outcome. Inputs are read no faster than results leave, so stdin
may be endless. On a terminal a progress bar is drawn on stderr.

Ctrl-C reads no more, waits for what runs, and says how to go on with --skip N. A
second one cancels what runs. Exits with 1 when a job failed, with 130 when stopped.

A job that nobody could take, because the broker or every manager was away, is tried
again until its deadline. A pool that no worker serves ends the run at once, and so
does a pool that no manager serves at its beginning, unless --wait-for-pool is given.
With --url, jobs that are under way when the connection breaks fail, since they may
have run.

With --durable RUN each job is stored before it runs, at a manager with --durable. The
run goes on with the same command and the same inputs, whatever was killed meanwhile:
what has ended under its name is told again and does not run again. Its name is kept
with the outcomes, for 24 hours. A handler must bear to run twice.

With --large-payloads a line or file over the broker's limit, and a result over it, goes
through the object store. Up to --window of them are in memory: make that small for large
files.

Examples:
  seq 1000 | poolmesh map adder > results.ndjson
  poolmesh map fetch --lines urls.txt --ordered --window 64
  poolmesh map digest --files "src/**/*.ts" --paths
  tail -f access.log | poolmesh map parse | jq .result
  seq 1000000 | poolmesh map adder --durable november > results.ndjson
  poolmesh map thumb --files "photos/*.tiff" --large-payloads --window 4 --codec bytes
  seq 1000 | poolmesh map adder --url https://manager:8080 --ca-file ca.pem --token-file ci.token

${EXIT_CODES_HELP}`;

export function define(command: Command, shell: Shell): void {
  command
    .argument("<POOL>", "the pool that is to run them")
    .option("--lines <FILE>", "a job for each line of this file; default stdin")
    .option("--files <GLOB...>", "a job for each file: *, ?, **, [ab] and {a,b}; the payload is its content")
    .option("--paths", "with --files: the payload is the path")
    .option("--ordered", "outcomes in the order of the inputs instead of as they come")
    .option("--skip <N>", "leave out the first N inputs", wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
    .option("--durable <RUN>", "store each job under this name, to go on after any crash")
    .option("--window <N>", "jobs under way at once", wholeNumber(1, 65_536), 256)
    .addHelpText("after", HELP);
  addJobOptions(command);
  addSpecs(command, LARGE_SPECS);
  addUrlOptions(command, "call this manager over HTTP/2; no connection to the broker is needed");
  command.action(async (pool: string, flags: MapFlags & UrlFlags) => {
    checkName("pool", pool);
    if (flags.durable !== undefined) checkRun(flags.durable, flags);
    const submitOptions = toSubmitOptions(shell, flags);
    const largePayloads = readLarge(shell, flags);
    const source = await openSource(shell, flags);
    const remote = readRemote(shell, flags);
    if (remote.url !== undefined) {
      const { mapRemote } = await import("../remote/remote-map.js");
      shell.exitCode = await mapRemote({ shell, url: remote.url, remote, pool, flags, source, submitOptions });
      return;
    }
    await withLink(shell, { ...flags, pool: undefined }, async (link) => {
      const to = { pool, connection: link.bus, prefix: link.subjects.prefix, largePayloads };
      const client = await Client.connect(to);
      try {
        const scoutOf = (onUnknown: (error: PoolError) => void) =>
          flags.waitForPool || flags.durable !== undefined
            ? new WaitNote(shell, doubtOf(link, pool))
            : new PoolScout(link, pool, onUnknown);
        shell.exitCode = await new MapRun(shell, pool, flags, source, scoutOf).run(
          starterOf(client, flags, submitOptions),
          submitOptions,
        );
      } finally {
        await client.close();
      }
    });
  });
}

/** Names of runs leave room for a place and a hash in the id of a job. */
const MAX_RUN_LENGTH = 32;

function checkRun(run: string, { url, wait, idempotent, waitForPool }: MapFlags & UrlFlags): void {
  checkName("run", run);
  const refuse = (why: string): never => {
    throw new PoolError("invalid_argument", `durable: ${why}`, { field: "durable" });
  };
  if (run.length > MAX_RUN_LENGTH) refuse(`a name of at most ${MAX_RUN_LENGTH} characters`);
  if (url !== undefined) refuse("needs the broker; not together with --url");
  if (wait === false) refuse("stored jobs wait; not together with --no-wait");
  if (idempotent || waitForPool)
    refuse("stored jobs are idempotent and wait; leave out --idempotent and --wait-for-pool");
}

function starterOf(client: Client, { durable, skip, waitForPool }: MapFlags, submitOptions: SubmitOptions): MapStarter {
  if (durable === undefined) return new PatientStarter(client, submitOptions, waitForPool);
  const { timeoutMs, priority, client: who } = submitOptions;
  const options = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(priority === undefined ? {} : { priority }),
    ...(who === undefined ? {} : { client: who }),
  };
  return new DurableStarter(client, { name: durable, skip, options });
}
