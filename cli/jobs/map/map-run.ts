/** One run of `map`: inputs through jobs to lines. */
import { plural } from "../../../browser/format.js";
import type { PoolError } from "../../../mesh/errors.js";
import type { SubmitOptions } from "../../../mesh/job/job.js";
import { type FlowOutcome, jobFlow } from "../../../mesh/job/job-flow.js";
import { EXIT } from "../../exit-codes.js";
import { LineBatch } from "../../output/line-batch.js";
import { ProgressDisplay } from "../../output/progress-display.js";
import type { Shell } from "../../shell.js";
import type { JobFlags } from "../job-options.js";
import type { Scout } from "../pool-scout.js";
import { Feed } from "./feed.js";
import { againLines } from "./go-on.js";
import type { MapInput } from "./map-input.js";
import { outcomeLine } from "./outcome-line.js";
import { isWithoutManager, type MapStarter } from "./patient-starter.js";
import { DonePrefix } from "./prefix.js";
import type { Source, SourceFlags } from "./sources.js";

/** The flags of `map`, as commander gives them. */
export interface MapFlags extends JobFlags, SourceFlags {
  readonly ordered?: boolean;
  readonly window: number;
  readonly skip: number;
  /** The name of the run whose jobs are stored. */
  readonly durable?: string;
  /** Payloads and results may go through the object store. */
  readonly largePayloads?: boolean;
}

/** One run: inputs through jobs to lines. */
export class MapRun {
  readonly #shell: Shell;
  readonly #flags: MapFlags;
  readonly #source: Source;
  readonly #feed: Feed<MapInput>;
  readonly #bar: ProgressDisplay;
  readonly #done: DonePrefix;
  readonly #lines: LineBatch;
  readonly #abort = new AbortController();
  readonly #scout: Scout;
  #starter: MapStarter | undefined;
  /** Nobody serves the pool. */
  #unknown: PoolError | undefined;
  /** Settles when it is known why a manager says so. */
  #verdict: Promise<void> | undefined;
  #isServed = false;
  #failed = 0;
  #interrupted = false;

  /** @param scoutOf makes who finds out that nobody serves the pool, and says so once */
  constructor(
    shell: Shell,
    pool: string,
    flags: MapFlags,
    source: Source,
    scoutOf: (onUnknown: (error: PoolError) => void) => Scout,
  ) {
    this.#shell = shell;
    this.#flags = flags;
    this.#source = source;
    this.#feed = new Feed(source.inputs, flags.skip);
    this.#bar = new ProgressDisplay(shell.stderr, pool);
    this.#done = new DonePrefix(flags.skip);
    this.#lines = new LineBatch(shell.stdout);
    this.#scout = scoutOf((error) => this.#giveUp(error));
  }

  async run(starter: MapStarter, { timeoutMs, wait }: Pick<SubmitOptions, "timeoutMs" | "wait">): Promise<number> {
    const { ordered, window } = this.#flags;
    this.#starter = starter;
    if (wait === false) this.#scout.stop();
    const offSignal = this.#shell.onSignal((_signal, count) => this.#onSignal(count));
    const total = this.#source.total;
    this.#bar.start(
      total !== undefined && "inputs" in total ? Math.max(0, total.inputs - this.#flags.skip) : undefined,
    );
    try {
      const options = { ordered, window, timeoutMs, wait, signal: this.#abort.signal };
      this.#feed.onFirst(() => this.#scout.begin());
      for await (const outcome of jobFlow<MapInput>(starter, this.#feed, options)) {
        const written = this.#onOutcome(outcome);
        if (written !== undefined) await written;
      }
    } finally {
      this.#scout.stop();
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
    if (canceled || this.#unknown !== undefined) return undefined;
    if (!outcome.ok && this.#isUnknown(outcome.error)) return undefined;
    if (!outcome.ok && !this.#isServed && !this.#flags.waitForPool && isWithoutManager(outcome.error)) {
      this.#scout.stop();
      this.#giveUp(outcome.error);
      return undefined;
    }
    this.#isServed = true;
    this.#scout.stop();
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

  /** Whether a manager says that nobody serves the pool, while that would end the run. */
  #isUnknown({ reason }: PoolError): boolean {
    const { wait, waitForPool = false } = this.#flags;
    if (reason !== "unknown_pool" || wait === false || waitForPool || this.#isServed) return false;
    this.#verdict ??= this.#scout.confirm();
    return true;
  }

  /** No line is written for jobs that nobody will ever run: one error says it for all. */
  #giveUp(error: PoolError): void {
    this.#unknown = error;
    this.#feed.close();
    this.#abort.abort();
  }

  #onSignal(count: number): void {
    this.#interrupted = true;
    this.#feed.close();
    if (count > 2) this.#shell.exitNow(EXIT.interrupted);
    if (count > 1) this.#abort.abort();
    else
      this.#say(
        `stopping: waiting for ${plural(this.#starter?.underWay ?? 0, "job")} under way; once more ${this.#onceMore}`,
      );
  }

  get #onceMore(): string {
    return this.#flags.durable === undefined ? "cancels them" : "waits no longer, and they go on";
  }

  #say(text: string): void {
    this.#bar.clear();
    void this.#shell.stderr.line(text);
  }

  async #end(): Promise<number> {
    await this.#verdict;
    if (this.#unknown !== undefined) throw this.#unknown;
    if (!this.#interrupted || this.#feed.ended) return this.#failed > 0 ? EXIT.failed : EXIT.ok;
    for (const line of againLines(this.#shell.argv, this.#flags, this.#done)) await this.#shell.stderr.line(line);
    return EXIT.interrupted;
  }
}
