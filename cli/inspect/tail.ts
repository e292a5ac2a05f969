/** `poolmesh tail`: what happens to jobs, one line an event. */
import { type Command, Option } from "commander";
import { STATE_WORDS, type StateWord } from "../../browser/job-words.js";
import { encodeEvent } from "../../mesh/job/job-events.js";
import { checkName } from "../../mesh/wire/subjects.js";
import { EXIT } from "../exit-codes.js";
import { addUrlOptions, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { JobSource } from "../sources/jobs.js";
import { addSpecs, BUS_SPECS, wholeNumber } from "../spec-options.js";
import { eventLine, gapLine, sampleLine } from "./event-line.js";
import { addFilterOptions, type FilterFlags, toFilter } from "./filter-flags.js";
import { withJobSource } from "./job-source.js";

const HELP = `
Prints a line for each event of a job, from now on; Ctrl-C ends it:
  submitted  a manager has taken it
  parked     it waits for a slot
  sent       an attempt was sent to a worker, or to any
  refused    a worker had no free slot
  accepted   a worker has it; a job that ends soon ends without this
  revoked    nobody has accepted the attempt in time
  succeeded, failed
Managers tell it only while somebody follows. Where too much happens, one job of several is
shown, with all its events. --json prints the objects that travel on pool.P.event.*.

Examples:
  poolmesh tail
  poolmesh tail adder --state failed
  poolmesh tail --json | jq -r 'select(.totalMs > 1000) | .job'
  poolmesh tail adder --url https://manager:8080 --ca-file ca.pem --token-file viewer.token`;

interface TailFlags extends UrlFlags, FilterFlags {
  readonly state?: StateWord;
  readonly limit?: number;
  readonly json?: boolean;
  readonly [name: string]: unknown;
}

export function define(command: Command, shell: Shell): void {
  command
    .argument("[POOL]", "only jobs of this pool")
    .addOption(
      new Option("--state <STATE>", "only events after which a job stands so").choices(Object.keys(STATE_WORDS)),
    )
    .option("--limit <N>", "end after so many events", wholeNumber(1, 1_000_000_000))
    .option("--json", "a JSON object a line")
    .addHelpText("after", HELP);
  addFilterOptions(command, "Which jobs:");
  addSpecs(command, BUS_SPECS);
  addUrlOptions(command, "ask this manager over HTTP; no connection to the broker is needed");
  command.action(async (pool: string | undefined, flags: TailFlags) => {
    if (pool !== undefined) checkName("pool", pool);
    const abort = new AbortController();
    const offSignal = shell.onSignal((_signal, count) => (count > 1 ? shell.exitNow(EXIT.interrupted) : abort.abort()));
    try {
      await withJobSource(shell, flags, (source) => tail(shell, source, pool, flags, abort));
    } finally {
      offSignal();
    }
  });
}

async function tail(
  shell: Shell,
  source: JobSource,
  pool: string | undefined,
  flags: TailFlags,
  abort: AbortController,
): Promise<void> {
  const { stdout, stderr } = shell;
  const most = flags.limit ?? Number.POSITIVE_INFINITY;
  let shown = 0;
  let oneIn = 1;
  // As wide as the longest name so far, so that lines seldom shift.
  let poolWidth = 0;
  for await (const batch of source.watch(toFilter(pool, flags.state, flags), abort.signal)) {
    if (!flags.json && batch.oneIn !== oneIn) await stderr.line(sampleLine(stderr, batch.oneIn));
    if (!flags.json && batch.dropped > 0) await stderr.line(gapLine(stderr, batch.dropped));
    oneIn = batch.oneIn;
    let { dropped } = batch;
    for (const event of batch.events) {
      if (pool === undefined) poolWidth = Math.max(poolWidth, event.pool.length);
      const line = flags.json ? encodeEvent({ event, oneIn, dropped }) : eventLine(stdout, event, poolWidth);
      await stdout.line(line);
      dropped = 0;
      shown += 1;
      if (shown >= most) return abort.abort();
    }
  }
}
