/** `poolmesh map`: a job for each line or file, an NDJSON line for each outcome. */
import type { Command } from "commander";
import { plural } from "../../browser/format.js";
import { Client } from "../../client/client.js";
import { type FlowOutcome, jobFlow } from "../../mesh/job/job-flow.js";
import { checkName } from "../../mesh/names.js";
import { EXIT, EXIT_CODES_HELP } from "../exit-codes.js";
import { LineBatch } from "../output/line-batch.js";
import { ProgressDisplay } from "../output/progress-display.js";
import type { Shell } from "../shell.js";
import { readOptions, toCliBus, wholeNumber } from "../spec-options.js";
import { addJobOptions, JOB_SPECS, type JobFlags, toSubmitOptions } from "./job-options.js";
import { Feed } from "./map/feed.js";
import { againLines } from "./map/go-on.js";
import type { MapInput } from "./map/map-input.js";
import { outcomeLine } from "./map/outcome-line.js";
import { PatientStarter } from "./map/patient-starter.js";
import { DonePrefix } from "./map/prefix.js";
import { openSource, type Source, type SourceFlags } from "./map/sources.js";

const HELP = `
Each outcome is one line of JSON on stdout: index, input, result (or error), worker,
attempts, ms. A result that is JSON keeps its own text, so no number is rounded; what
is not UTF-8 stands under inputBase64 or resultBase64. Inputs are read no faster than
results leave, so stdin may be endless. On a terminal a progress bar is drawn on stderr.

Ctrl-C reads no more, waits for what runs, and says how to go on with --skip N. A
second one cancels what runs. Exits with 1 when a job failed, with 130 when stopped.

A job that nobody could take, because the broker or every manager was away, is tried
again until its deadline.

Examples:
  seq 1000 | poolmesh map adder > results.ndjson
  poolmesh map fetch --lines urls.txt --ordered --window 64
  poolmesh map digest --files "src/**/*.ts" --paths
  tail -f access.log | poolmesh map parse | jq .result

${EXIT_CODES_HELP}`;

interface MapFlags extends JobFlags, SourceFlags {
  readonly ordered?: boolean;
  readonly window: number;
  readonly skip: number;
}

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
    const config = readOptions(shell, flags, JOB_SPECS);
    const source = await openSource(shell, flags);
    const client = await Client.connect(pool, { ...toCliBus(config), prefix: config.prefix });
    try {
      shell.exitCode = await new MapRun(shell, pool, flags, source).run(client);
    } finally {
      await client.close();
    }
  });
}

/** One run: inputs through jobs to lines. */
class MapRun {
  readonly #shell: Shell;
  readonly #flags: MapFlags;
  readonly #source: Source;
  readonly #feed: Feed<MapInput>;
  readonly #bar: ProgressDisplay;
  readonly #done: DonePrefix;
  readonly #lines: LineBatch;
  readonly #abort = new AbortController();
  #starter: PatientStarter | undefined;
  #failed = 0;
  #interrupted = false;

  constructor(shell: Shell, pool: string, flags: MapFlags, source: Source) {
    this.#shell = shell;
    this.#flags = flags;
    this.#source = source;
    this.#feed = new Feed(source.inputs, flags.skip);
    this.#bar = new ProgressDisplay(shell.stderr, pool);
    this.#done = new DonePrefix(flags.skip);
    this.#lines = new LineBatch(shell.stdout);
  }

  async run(client: Client): Promise<number> {
    const { ordered, window } = this.#flags;
    const submitOptions = toSubmitOptions(this.#shell, this.#flags);
    const { timeoutMs, wait } = submitOptions;
    const starter = new PatientStarter(client, submitOptions);
    this.#starter = starter;
    const offSignal = this.#shell.onSignal((_signal, count) => this.#onSignal(count));
    const total = this.#source.total;
    this.#bar.start(
      total !== undefined && "inputs" in total ? Math.max(0, total.inputs - this.#flags.skip) : undefined,
    );
    try {
      const options = { ordered, window, timeoutMs, wait, signal: this.#abort.signal };
      for await (const outcome of jobFlow<MapInput>(starter, this.#feed, options)) {
        const written = this.#onOutcome(outcome);
        if (written !== undefined) await written;
      }
    } finally {
      await this.#lines.flush();
      this.#bar.stop();
      offSignal();
    }
    return this.#end();
  }

  /** Returns what to wait for when the reader is slower than outcomes come. */
  #onOutcome(outcome: FlowOutcome<MapInput>): Promise<void> | undefined {
    const index = outcome.index + this.#flags.skip;
    const canceled = !outcome.ok && outcome.error.reason === "canceled" && this.#abort.signal.aborted;
    if (canceled) return undefined;
    if (!outcome.ok) this.#failed += 1;
    const total = this.#source.total;
    const bytes = total !== undefined && "bytes" in total ? total.bytes : 0;
    this.#bar.add(outcome.ok, bytes > 0 ? (outcome.input.readTo ?? 0) / bytes : undefined);
    this.#done.add(index);
    const line = outcomeLine(outcome, index, this.#flags.codec);
    if (!this.#shell.stdout.isTerminal) return this.#lines.add(line);
    this.#bar.clear();
    return this.#shell.stdout.write(line);
  }

  #onSignal(count: number): void {
    this.#interrupted = true;
    this.#feed.close();
    if (count > 2) this.#shell.exitNow(EXIT.interrupted);
    if (count > 1) this.#abort.abort();
    else
      this.#say(
        `stopping: waiting for ${plural(this.#starter?.underWay ?? 0, "job")} under way; once more cancels them`,
      );
  }

  #say(text: string): void {
    this.#bar.clear();
    void this.#shell.stderr.line(text);
  }

  async #end(): Promise<number> {
    if (!this.#interrupted || this.#feed.ended) return this.#failed > 0 ? EXIT.failed : EXIT.ok;
    for (const line of againLines(this.#shell.argv, this.#flags, this.#done)) await this.#shell.stderr.line(line);
    return EXIT.interrupted;
  }
}
