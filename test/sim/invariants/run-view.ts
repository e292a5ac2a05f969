/** The facts of one run, put together for the rules: submissions, handler runs, lives, and what was disturbed when. */
import type { HeardOutcome, Recorded, RunFact } from "../history.js";
import { endOf, type FaultKind, type JobPlan, type Plan, type Step } from "../plan.js";

/** One submission and all that its caller heard. */
export interface Submission {
  readonly submission: number;
  readonly caller: string;
  readonly process: string;
  readonly atMs: number;
  /** True time of its deadline. */
  readonly deadlineMs: number;
  readonly job: JobPlan;
  readonly outcomes: (HeardOutcome & { readonly atMs: number })[];
}

/** One job that was enqueued in the durable lane, and all that its caller heard. */
export interface Enqueued {
  readonly enqueued: number;
  readonly caller: string;
  readonly process: string;
  readonly atMs: number;
  readonly job: JobPlan;
  /** Undefined until its caller heard whether it is stored; "" when it was refused. */
  id: string | undefined;
  /** Whether it may be stored although it was refused. */
  maybeStored: boolean;
  readonly ends: (HeardOutcome & { readonly atMs: number })[];
}

/** A batch, and whether its caller heard that all of it is stored. */
export interface EnqueuedBatch {
  readonly batch: string;
  readonly jobs: readonly JobPlan[];
  isStored: boolean;
}

/** One cancel, and what its caller heard of it. */
export interface Cancel {
  readonly caller: string;
  readonly process: string;
  readonly id: string;
  readonly atMs: number;
  /** When its caller heard whether it was heard. */
  settledMs: number | undefined;
}

/** What the streams held at the end. */
export type StreamsAtRest = Extract<Recorded, { kind: "streams" }>;

/** One run of a handler. */
export interface HandlerRun extends RunFact {
  readonly worker: string;
  readonly process: string;
  readonly startMs: number;
  /** Infinity when it never ended: its process died. */
  endMs: number;
}

/** The life of one process. */
export interface Life {
  readonly actor: string;
  readonly process: string;
  readonly slots: number;
  readonly bornMs: number;
  /** Infinity while it lives. */
  diedMs: number;
}

/** A step that is a fault. */
export type FaultStep = Extract<Step, { do: FaultKind }>;

/** How long one attempt to connect may take, milliseconds. */
const DIAL_TIMEOUT_MS = 5_000;
/** A new connection takes so many one-way trips before its first message arrives. */
const CONNECT_LEGS = 4;
/** Who has lost its connection tries the next one within this, milliseconds. */
const REDIAL_MS = 200;
/** A claim is stored so long before its job begins, at most, milliseconds. */
const CLAIM_MS = 1_000;
/** What ends a broker, and what ends the connection of one process. */
const BROKER_ENDS: readonly string[] = ["kill-broker", "lame-duck"];
const CUTS: readonly string[] = ["reset", "down", "cut"];
/** Handlers that begin together block one after another, for so long at most, milliseconds. */
const BLOCKS_MS = 10_000;

/** What the rules look at. */
export class RunView {
  readonly plan: Plan;
  readonly submissions: Submission[] = [];
  readonly enqueued: Enqueued[] = [];
  /** Undefined without the durable lane. */
  streams: StreamsAtRest | undefined;
  readonly storedJobs: Extract<Recorded, { kind: "stored-job" }>[] = [];
  readonly storedOutcomes: Extract<Recorded, { kind: "stored-outcome" }>[] = [];
  readonly records: Extract<Recorded, { kind: "record" }>[] = [];
  /** The limits of the pool, each as it was stored. */
  readonly limits: Extract<Recorded, { kind: "limits" }>[] = [];
  readonly batches: EnqueuedBatch[] = [];
  readonly completions: Extract<Recorded, { kind: "completion" }>[] = [];
  readonly runs: HandlerRun[] = [];
  readonly lives: Life[] = [];
  readonly faults: FaultStep[] = [];
  readonly cancels: Cancel[] = [];
  readonly revocations: { readonly id: string; readonly upTo: number; readonly atMs: number }[] = [];
  /** Submissions of strangers that make no sense: when each was made, and the reason that it heard. */
  readonly questions = new Map<string, { readonly atMs: number; reason: string | undefined }>();
  readonly unclean: string[] = [];
  readonly awaited: string[] = [];
  readonly #blockOf = new Map<number, number>();
  endMs = 0;

  constructor(facts: readonly Recorded[], plan: Plan) {
    this.plan = plan;
    for (const fact of facts) this.#take(fact);
  }

  /** Whether a worker is the product's own, and no other that speaks its protocol. */
  isOurs(worker: string): boolean {
    return this.plan.workers.some(({ name, kind = "poolmesh" }) => name === worker && kind === "poolmesh");
  }

  /** Names of the workers that send no heartbeats. */
  get bareWorkers(): ReadonlySet<string> {
    return new Set(this.plan.workers.filter(({ kind }) => kind === "bare").map(({ name }) => name));
  }

  /** Whether an attempt had been revoked by somebody before this time, true time. */
  wasRevoked({ id, attempt }: Pick<RunFact, "id" | "attempt">, atMs: number): boolean {
    return this.revocations.some((each) => each.id === id && each.upTo >= attempt && each.atMs <= atMs);
  }

  /** When a process died; Infinity while it lives. */
  diedMs(process: string): number {
    return this.lives.find((life) => life.process === process)?.diedMs ?? Number.POSITIVE_INFINITY;
  }

  /** Submissions of the same id, the given one included. */
  namesakes({ job, submission }: Submission): Submission[] {
    return this.submissions.filter((each) =>
      job.id === undefined ? each.submission === submission : each.job.id === job.id,
    );
  }

  /** Who submits what is under way joins it: its deadline is that of the first of them. */
  earliestDeadlineMs(submission: Submission): number {
    const same = this.namesakes(submission).filter(({ job }) => job.number === submission.job.number);
    return Math.min(...same.map(({ deadlineMs }) => deadlineMs));
  }

  /** Faults whose effect overlaps a time; each is taken to last `afterMs` longer than it does. */
  faultsDuring(fromMs: number, toMs: number, afterMs = 0): FaultStep[] {
    return this.faults.filter((step) => step.atMs <= toMs && effectEndMs(step) + afterMs >= fromMs);
  }

  /** Whether the machine of the only broker loses its power. */
  get losesPower(): boolean {
    return this.faults.some((step) => step.do === "kill-broker" && step.losesMs !== undefined);
  }

  /** Whether a loss of power may have taken a stored job, its claim or its outcome with it. */
  mayBeLost(id: string | undefined): boolean {
    const at = [...this.storedJobs, ...this.storedOutcomes].filter((each) => each.id === id).map(({ atMs }) => atMs);
    const begun = this.runs.filter((run) => run.id === id).map(({ startMs }) => startMs - CLAIM_MS);
    return this.faults.some(
      (step) =>
        step.do === "kill-broker" &&
        step.losesMs !== undefined &&
        [...at, ...begun].some((ms) => ms > step.atMs - (step.losesMs ?? 0) - CLAIM_MS && ms <= step.atMs),
    );
  }

  /** How long an actor could not run or not be heard within a time, milliseconds, at most. */
  silentMs(actor: string, fromMs: number, toMs: number): number {
    const faults = this.faults
      .filter((step) => isSilence(step) && isOf(step, actor))
      .reduce((sum, step) => sum + unheardMsOf(step, fromMs, toMs), 0);
    return faults + this.#blockedMs(actor, fromMs, toMs) + this.reconnectingMs(actor, fromMs, toMs);
  }

  /** How long a word of an actor was on its delayed link, when it left then, milliseconds. */
  wayMs(actor: string, atMs: number): number {
    return this.faults.reduce((ms, step) => {
      if (step.do !== "delay" || step.process !== actor || step.atMs > atMs || endOf(step) < atMs) return ms;
      return Math.max(ms, step.ms);
    }, 0);
  }

  /** How long a broker stood still within a time, milliseconds, at most. */
  brokerStoppedMs(fromMs: number, toMs: number): number {
    return this.faults
      .filter((step) => step.do === "pause-broker")
      .reduce((sum, step) => sum + unheardMsOf(step, fromMs, toMs), 0);
  }

  /**
   * How long the link of an actor may have kept what it said, within a time, milliseconds, at most.
   */
  unheardMs(actor: string, fromMs: number, toMs: number): number {
    return this.faults
      .filter((step) => keepsWords(step) && isOf(step, actor))
      .reduce((sum, step) => sum + unheardMsOf(step, fromMs, toMs), 0);
  }

  /**
   * Whether an actor may have been connecting again when what it connected to was gone once more: nats.js waits out its
   * limit for an attempt whose broker ends before its first answer (docs/faults.md).
   */
  mayBeStranded(actor: string, fromMs: number, toMs: number): boolean {
    const own = this.faults.filter((step) => isOf(step, actor));
    const breaks = this.#breaks(actor);
    // A broker that was killed twice starts twice, and ends for the second start.
    const ends = breaks.flatMap((step) => (BROKER_ENDS.includes(step.do) ? [step.atMs, endOf(step)] : [step.atMs]));
    return breaks.some((first) => {
      const backMs = endOf(first);
      // It connects when both are there: the broker is back, and it does not stand still.
      const stops = own.filter((step) => step.do === "pause" && step.atMs <= backMs).map(endOf);
      const delays = own.filter((step) => step.atMs <= backMs && endOf(step) >= backMs);
      const legMs = Math.max(0, ...delays.map((step) => (step.do === "delay" ? step.ms : 0)));
      const beginMs = Math.max(backMs, ...stops);
      const readyMs = beginMs + REDIAL_MS + CONNECT_LEGS * legMs;
      return ends.some((atMs) => {
        const isWhileConnecting = atMs > beginMs && atMs <= readyMs;
        return isWhileConnecting && atMs <= toMs && atMs + DIAL_TIMEOUT_MS >= fromMs;
      });
    });
  }

  /** When the connection of an actor was broken first from a time on, milliseconds; infinite when it was not. */
  brokenMs(actor: string, fromMs: number): number {
    const home = this.plan.workers.find(({ name }) => name === actor)?.broker ?? 0;
    const breaks = this.#breaks(actor);
    // Where it is after it has left its first broker is not known here.
    const hits = (step: FaultStep): boolean =>
      isOf(step, actor) || ("broker" in step && step.broker === home) || breaks.some(({ atMs }) => atMs < step.atMs);
    return Math.min(...breaks.filter((step) => step.atMs >= fromMs && hits(step)).map(({ atMs }) => atMs));
  }

  /** How long an actor whose connection was broken needed for a new one over its delayed link, milliseconds. */
  reconnectingMs(actor: string, fromMs: number, toMs: number): number {
    const own = this.faults.filter((step) => isOf(step, actor));
    const broken = this.#breaks(actor).filter((step) => step.atMs >= fromMs && step.atMs <= toMs);
    return broken.reduce((sum, step) => {
      // In a cluster it connects to another broker at once, else when its own is back.
      const untilMs = endOf(step) + REDIAL_MS;
      const delays = own.filter((each) => each.do === "delay" && each.atMs <= untilMs && endOf(each) >= step.atMs);
      return sum + CONNECT_LEGS * Math.max(0, ...delays.map((step) => (step.do === "delay" ? step.ms : 0)));
    }, 0);
  }

  /** What may break the connection of an actor: faults of its own link, and the end of any broker. */
  #breaks(actor: string): FaultStep[] {
    return this.faults.filter((step) => BROKER_ENDS.includes(step.do) || (CUTS.includes(step.do) && isOf(step, actor)));
  }

  /** How long handlers blocked a worker; one after another, so that it may be later than they began. */
  #blockedMs(actor: string, fromMs: number, toMs: number): number {
    return this.runs
      .filter(({ worker, startMs }) => worker === actor && startMs <= toMs && startMs >= fromMs - BLOCKS_MS)
      .reduce((sum, { number }) => sum + (this.#blockOf.get(number) ?? 0), 0);
  }

  #take(fact: Recorded): void {
    this.endMs = fact.atMs;
    switch (fact.kind) {
      case "born":
        this.lives.push({ ...fact, bornMs: fact.atMs, diedMs: Number.POSITIVE_INFINITY });
        break;
      case "died":
        this.#die(fact.process, fact.atMs);
        break;
      case "step":
        if (isFault(fact.step)) this.faults.push(fact.step);
        break;
      case "submit":
        this.#blockOf.set(fact.job.number, fact.job.blockMs ?? 0);
        this.submissions.push({ ...fact, deadlineMs: fact.atMs + fact.job.timeoutMs, outcomes: [] });
        break;
      case "outcome":
        this.submissions[fact.submission - 1]?.outcomes.push(fact);
        break;
      case "cancel":
        this.cancels.push({ ...fact, settledMs: undefined });
        break;
      case "cancel-settled":
        for (const each of this.cancels)
          if (each.id === fact.id && each.process === fact.process) each.settledMs ??= fact.atMs;
        break;
      case "enqueue":
        this.#blockOf.set(fact.job.number, fact.job.blockMs ?? 0);
        this.enqueued.push({ ...fact, id: undefined, maybeStored: true, ends: [] });
        break;
      case "receipt":
        Object.assign(this.enqueued[fact.enqueued - 1] ?? {}, { id: fact.id, maybeStored: fact.maybeStored });
        break;
      case "ended":
        this.enqueued[fact.enqueued - 1]?.ends.push(fact);
        break;
      case "stored-job":
        this.storedJobs.push(fact);
        break;
      case "stored-outcome":
        this.storedOutcomes.push(fact);
        break;
      case "record":
        this.records.push(fact);
        break;
      case "limits":
        this.limits.push(fact);
        break;
      case "batch":
        this.batches.push({ batch: fact.batch, jobs: fact.jobs, isStored: false });
        break;
      case "batched": {
        const batch = this.batches.find((each) => each.batch === fact.batch);
        if (batch !== undefined) batch.isStored = fact.reason === "";
        break;
      }
      case "completion":
        this.completions.push(fact);
        break;
      case "streams":
        this.streams = fact;
        break;
      case "start":
        this.runs.push({ ...fact, startMs: fact.atMs, endMs: Number.POSITIVE_INFINITY });
        break;
      case "end": {
        const run = this.runs.find((each) => each.run === fact.run);
        if (run !== undefined) run.endMs = fact.atMs;
        break;
      }
      case "revoke":
        this.revocations.push(fact);
        break;
      case "asked":
        this.questions.set(fact.question, { atMs: fact.atMs, reason: undefined });
        break;
      case "answered": {
        const question = this.questions.get(fact.question);
        // Another stranger may answer too, and says no reason.
        if (question !== undefined) question.reason = fact.reason || (question.reason ?? "");
        break;
      }
      case "rest":
        this.unclean.push(...fact.unclean);
        this.awaited.push(...fact.awaited);
    }
  }

  #die(process: string, atMs: number): void {
    const life = this.lives.find((each) => each.process === process);
    if (life !== undefined) life.diedMs = atMs;
  }
}

function isFault(step: Step): step is FaultStep {
  return step.do !== "submit" && step.do !== "enqueue" && step.do !== "batch" && step.do !== "cancel";
}

/**
 * When a fault is over. What a slow link has taken keeps its pace when the link
 * is fast again; an attempt to connect over a cut link waits out its time.
 */
function effectEndMs(step: FaultStep): number {
  if (step.do === "slow") return Number.POSITIVE_INFINITY;
  return step.do === "cut" ? endOf(step) + DIAL_TIMEOUT_MS : endOf(step);
}

/** How long a fault keeps what its process says, within a time; a delay only until the first message has come. */
function unheardMsOf(step: FaultStep, fromMs: number, toMs: number): number {
  const ms = overlapMs(fromMs, toMs, step.atMs, effectEndMs(step));
  return step.do === "delay" ? Math.min(ms, step.ms) : ms;
}

/** Whether a fault is one of this process. */
function isOf(step: FaultStep, actor: string): boolean {
  return "process" in step && step.process === actor;
}

function overlapMs(fromMs: number, toMs: number, beginMs: number, endMs: number): number {
  return Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, beginMs));
}

const LINK_FAULTS: readonly string[] = ["cut", "down", "slow", "delay"];

/** Whether a fault may keep what its process says. */
function keepsWords(step: FaultStep): boolean {
  return LINK_FAULTS.includes(step.do) || (step.do === "hold" && step.direction !== "fromBroker");
}

function isSilence(step: FaultStep): boolean {
  return ["pause", "block", "hold", ...LINK_FAULTS].includes(step.do);
}
