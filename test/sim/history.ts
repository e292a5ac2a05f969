/**
 * What happened in one run, as the invariants see it: facts with their true time.
 *
 * Who writes it knows the truth (the simulator), so that no rule has to trust
 * what the product says of itself.
 */
import type { Limit } from "../../mesh/durable/limits/limit.js";
import { describeStep, type JobPlan, type Step } from "./plan.js";
import type { SimWorld } from "./world-clock.js";

/** One fact. */
export type Fact =
  /** A process is there; `slots` is 0 unless it is a worker. */
  | { readonly kind: "born"; readonly actor: string; readonly process: string; readonly slots: number }
  /** A process ended: it was killed, or left after SIGTERM. */
  | { readonly kind: "died"; readonly actor: string; readonly process: string; readonly how: "killed" | "left" }
  | { readonly kind: "step"; readonly step: Step }
  | {
      readonly kind: "submit";
      readonly caller: string;
      readonly process: string;
      readonly submission: number;
      readonly job: JobPlan;
    }
  | ({ readonly kind: "outcome"; readonly caller: string; readonly submission: number } & HeardOutcome)
  /** A caller cancels a job, and hears whether that was heard: "" when it was. */
  | { readonly kind: "cancel"; readonly caller: string; readonly process: string; readonly id: string }
  | { readonly kind: "cancel-settled"; readonly process: string; readonly id: string; readonly reason: string }
  | {
      readonly kind: "enqueue";
      readonly caller: string;
      readonly process: string;
      readonly enqueued: number;
      readonly job: JobPlan;
    }
  /** The stream has acknowledged an enqueued job, or it was refused. */
  | {
      readonly kind: "receipt";
      readonly caller: string;
      readonly enqueued: number;
      /** "" when it was refused. */
      readonly id: string;
      readonly reason: string;
      readonly maybeStored: boolean;
    }
  | ({ readonly kind: "ended"; readonly caller: string; readonly enqueued: number } & HeardOutcome)
  | {
      readonly kind: "batch";
      readonly caller: string;
      readonly process: string;
      readonly batch: string;
      readonly jobs: readonly JobPlan[];
    }
  /** All of it is stored; or its caller has given up. */
  | { readonly kind: "batched"; readonly caller: string; readonly batch: string; readonly reason: string }
  /** The completion job of a batch runs. */
  | {
      readonly kind: "completion";
      readonly worker: string;
      readonly id: string;
      readonly attempt: number;
      readonly batch: string;
      readonly total: number;
      readonly succeeded: number;
      readonly failed: number;
    }
  /** What the streams hold when all is quiet: ids, and how many outcomes were ever stored. */
  | {
      readonly kind: "streams";
      readonly live: readonly string[];
      readonly outcomes: readonly string[];
      readonly dead: readonly string[];
      readonly outcomesStored: number;
      /** When each outcome was stored, in the order of `outcomes`, milliseconds of true time. */
      readonly outcomesAtMs: readonly number[];
      readonly batches: readonly StoredBatchFact[];
    }
  /** A stream has stored a job; `number` is that of its payload, as the facts of its runs have it. */
  | { readonly kind: "stored-job"; readonly id: string; readonly sequence: number; readonly number: number }
  /** A stream has stored an outcome. */
  | { readonly kind: "stored-outcome"; readonly id: string; readonly ok: boolean }
  /** A stream has stored the record of a limit: the jobs that have leave by it, and had none by the one before it. */
  | { readonly kind: "record"; readonly token: string; readonly leaves: readonly number[] }
  /** The limits that managers have from now on. */
  | { readonly kind: "limits"; readonly limits: readonly Limit[] }
  | ({ readonly kind: "start"; readonly worker: string; readonly process: string } & RunFact)
  | ({ readonly kind: "end"; readonly worker: string; readonly process: string } & RunFact)
  /** Somebody says on the bus that attempts of a job up to this number are over. */
  | { readonly kind: "revoke"; readonly by: string; readonly id: string; readonly upTo: number }
  /** A stranger sends a submission that makes no sense, and hears an answer. */
  | { readonly kind: "asked"; readonly question: string }
  | { readonly kind: "answered"; readonly question: string; readonly reason: string }
  /** What was not clean, and what was still waited for, when all was quiet. */
  | { readonly kind: "rest"; readonly unclean: readonly string[]; readonly awaited: readonly string[] };

/** A batch as its stream has it. */
export interface StoredBatchFact {
  readonly id: string;
  readonly isSealed: boolean;
  readonly isCompleted: boolean;
  /** Jobs with an outcome. */
  readonly counted: number;
}

/** A handler's run. */
export interface RunFact {
  /** Counts all runs of the world. */
  readonly run: number;
  readonly id: string;
  /** Its number, which names it. */
  readonly attempt: number;
  /** The payload's number. */
  readonly number: number;
}

/** What a caller heard. */
export interface HeardOutcome {
  readonly ok: boolean;
  readonly id: string;
  /** "" when ok. */
  readonly reason: string;
  readonly message: string;
  readonly worker: string;
  /** A count. */
  readonly attempt: number;
  /** What the result says of the run that made it; undefined for an error or a result that no handler made. */
  readonly ran?: { readonly number: number; readonly run: number } | undefined;
}

/** A fact with its time. */
export type Recorded<F extends Fact = Fact> = F & { readonly atMs: number };

/** The facts of one run in their order. */
export class History {
  readonly facts: Recorded[] = [];
  readonly #world: SimWorld;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  record(fact: Fact): void {
    this.facts.push({ ...fact, atMs: this.#world.now() });
    if (this.#world.traced) this.#world.trace(describe(fact));
  }
}

/** Width of the column that says who. */
const WHO_WIDTH = 12;

/** A line of the trace: who, and what. */
export function traceText(who: string, what: string): string {
  return `${who.padEnd(WHO_WIDTH)} ${what}`;
}

function describe(fact: Fact): string {
  switch (fact.kind) {
    case "born":
      return traceText(fact.actor, `starts as ${fact.process}${fact.slots > 0 ? ` with ${fact.slots} slots` : ""}`);
    case "died":
      return traceText(fact.actor, fact.how === "killed" ? "is killed" : "has left");
    case "step":
      return traceText("PLAN", describeStep(fact.step));
    case "submit":
      return traceText(fact.caller, `submits submission ${fact.submission}: ${describeJob(fact.job)}`);
    case "outcome":
      return traceText(fact.caller, `hears of submission ${fact.submission}: ${describeOutcome(fact)}`);
    case "cancel":
      return traceText(fact.caller, `cancels job ${fact.id}`);
    case "cancel-settled":
      return traceText(fact.process, `hears of its cancel of ${fact.id}: ${fact.reason || "it was heard"}`);
    case "enqueue":
      return traceText(fact.caller, `enqueues ${fact.enqueued}: ${describeJob(fact.job)}`);
    case "receipt":
      return traceText(fact.caller, `has the receipt of ${fact.enqueued}: ${fact.id || fact.reason}`);
    case "ended":
      return traceText(fact.caller, `hears of enqueued ${fact.enqueued}: ${describeOutcome(fact)}`);
    case "batch":
      return traceText(fact.caller, `enqueues batch ${fact.batch} of ${fact.jobs.length} jobs`);
    case "batched":
      return traceText(
        fact.caller,
        `batch ${fact.batch} ${fact.reason === "" ? "is stored" : `fails: ${fact.reason}`}`,
      );
    case "completion":
      return traceText(
        fact.worker,
        `COMPLETION of batch ${fact.batch}: job ${fact.id} attempt ${fact.attempt}, ${fact.succeeded} + ${fact.failed} of ${fact.total}`,
      );
    case "streams":
      return traceText(
        "STREAMS",
        `${fact.live.length} live, ${fact.outcomes.length} outcomes, ${fact.dead.length} dead`,
      );
    case "stored-job":
      return traceText("STREAMS", `job ${fact.id} is stored at ${fact.sequence}: payload ${fact.number}`);
    case "stored-outcome":
      return traceText("STREAMS", `outcome of ${fact.id} is stored: ${fact.ok ? "a result" : "an error"}`);
    case "record":
      return traceText(
        "STREAMS",
        `the record of ${fact.token} is stored: leave for ${fact.leaves.join(", ") || "nobody new"}`,
      );
    case "limits":
      return traceText("STREAMS", `limits: ${JSON.stringify(fact.limits)}`);
    case "start":
      return traceText(
        fact.worker,
        `RUN ${fact.run} starts: job ${fact.id} attempt ${fact.attempt}, payload ${fact.number}`,
      );
    case "end":
      return traceText(fact.worker, `RUN ${fact.run} ends: job ${fact.id} attempt ${fact.attempt}`);
    case "revoke":
      return traceText(fact.by, `revokes job ${fact.id} up to attempt ${fact.upTo}`);
    case "asked":
      return traceText("stranger", `asks ${fact.question}`);
    case "answered":
      return traceText("stranger", `hears of ${fact.question}: ${fact.reason}`);
    case "rest":
      return traceText("REST", [...fact.unclean, ...fact.awaited].join("; ") || "all is clean");
  }
}

function describeJob({ number, ...rest }: JobPlan): string {
  const words = Object.entries(rest).map(([name, value]) => `${name}=${value}`);
  return [`payload ${number}`, ...words].join(" ");
}

function describeOutcome(heard: HeardOutcome): string {
  const by = `${heard.worker === "" ? "" : ` from ${heard.worker}`}${heard.attempt === 0 ? "" : ` attempt ${heard.attempt}`}`;
  if (!heard.ok) return `${heard.reason}${by} (${heard.message})`;
  return heard.ran === undefined
    ? `ok${by}, but no handler made it`
    : `ok${by}, payload ${heard.ran.number} in run ${heard.ran.run}`;
}
