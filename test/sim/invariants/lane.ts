/** The durable lane: what is stored, how often it runs, and what its callers hear. */
import type { Found, Invariant } from "./invariant.js";
import type { Enqueued, HandlerRun, RunView, StreamsAtRest } from "./run-view.js";
import { isUnheard } from "./runs.js";

/** What was acknowledged is never lost. */
const storedJobsKept: Invariant = {
  name: "stored-jobs-are-kept",
  promise:
    "A job whose caller has its receipt is live or has an outcome, unless a loss of power took it; a dead letter has an outcome too.",
  check: (view) =>
    atRest(view, ({ live, outcomes, dead, atMs }) => {
      const known = new Set([...live, ...outcomes]);
      const lost = view.enqueued.flatMap(({ id = "" }) =>
        id === "" || known.has(id) || view.mayBeLost(id) ? [] : [id],
      );
      const unsaid = dead.filter((id) => !outcomes.includes(id) && !view.mayBeLost(id));
      return [
        ...lost.map((id) => ({ atMs, what: `job ${id} has a receipt, and no stream has it` })),
        ...unsaid.map((id) => ({ atMs, what: `job ${id} is a dead letter without an outcome` })),
      ];
    }),
};

/** Stored is not enough. */
const storedJobsEnd: Invariant = {
  name: "stored-jobs-end",
  promise: "Once all faults are over, every stored job ends while a manager and a worker live.",
  check: (view) =>
    atRest(view, ({ live, atMs }) => {
      if (!hasLiving(view, view.plan.managers) || !hasLiving(view, view.plan.workers)) return [];
      return live.map((id) => ({ atMs, what: `job ${id} is still live` }));
    }),
};

/** The fence. */
const oneStoredOutcome: Invariant = {
  name: "one-stored-outcome",
  promise: "The first stored outcome of a job stays: no second one is ever stored.",
  check: (view) =>
    atRest(view, ({ outcomes, outcomesStored, atMs }) =>
      outcomesStored === outcomes.length
        ? []
        : [{ atMs, what: `${outcomesStored} outcomes were stored of ${outcomes.length} jobs` }],
    ),
};

/** The claim. */
const storedRunsOnce: Invariant = {
  name: "stored-job-runs-once",
  promise:
    "A stored job that is not idempotent is started at most once, except where docs/faults.md has it among the known limits.",
  check: (view) =>
    view.enqueued.flatMap(({ id, job }) => {
      if (job.idempotent !== false || view.mayBeLost(id)) return [];
      const all = view.runs.filter(({ number }) => number === job.number);
      const [, second] = all.filter((run) => !isUnheard(view, run, all));
      if (second === undefined) return [];
      const where = all.map(({ worker, attempt }) => `${worker} attempt ${attempt}`).join(", ");
      return [{ atMs: second.startMs, what: `payload ${job.number} ran ${all.length} times: ${where}` }];
    }),
};

/** What is over does not begin, also when the broker has forgotten that it delivered it. */
const endedJobsStayEnded: Invariant = {
  name: "ended-stored-job-does-not-run",
  promise: "A stored job that had an outcome when a broker was killed is not started again.",
  check: (view) => {
    const endedAtMs = new Map(view.storedOutcomes.map(({ id, atMs }) => [id, atMs]));
    return view.runs.flatMap((run) => {
      const endMs = endedAtMs.get(run.id) ?? Number.POSITIVE_INFINITY;
      if (!wasBrokerKilled(view, endMs, run.startMs) || mayBeLate(view, run) || view.mayBeLost(run.id)) return [];
      return [{ atMs: run.startMs, what: `job ${run.id} runs although its outcome was stored at ${endMs}` }];
    });
  },
};

function wasBrokerKilled(view: RunView, fromMs: number, toMs: number): boolean {
  return view.faults.some((step) => step.do === "kill-broker" && step.atMs > fromMs && step.atMs < toMs);
}

/** Whether what was given to a worker may have been kept on its way, or by a manager that others took for gone. */
function mayBeLate(view: RunView, { startMs, worker }: HandlerRun): boolean {
  const actors = [worker, ...view.plan.managers.map(({ name }) => name)];
  const isBrokerPaused = view.faultsDuring(0, startMs).some(({ do: what }) => what === "pause-broker");
  return isBrokerPaused || actors.some((actor) => view.silentMs(actor, 0, startMs) > 0);
}

/** No is no. */
const refusedNeverRuns: Invariant = {
  name: "refused-job-never-runs",
  promise: "A job whose caller heard that it is not stored never runs.",
  check: (view) =>
    view.enqueued.flatMap(({ id, maybeStored, job }) => {
      const run = id === "" && !maybeStored ? view.runs.find(({ number }) => number === job.number) : undefined;
      return run === undefined ? [] : [{ atMs: run.startMs, what: `payload ${job.number} was refused, and runs` }];
    }),
};

/** What a receipt tells. */
const receiptsEnd: Invariant = {
  name: "receipts-tell-the-stored-outcome",
  promise:
    "Who waits for a stored job's result hears it once the job has ended, exactly once, and it is that of the job's own payload.",
  check: (view) => atRest(view, (streams) => view.enqueued.flatMap((each) => heardOf(view, streams, each))),
};

function heardOf(view: RunView, { outcomes, atMs }: StreamsAtRest, each: Enqueued): Found[] {
  const { id, ends, process, job, enqueued } = each;
  if (id === undefined || id === "") return [];
  const [first, second] = ends;
  if (second !== undefined) return [{ atMs: second.atMs, what: `enqueued ${enqueued} has ${ends.length} outcomes` }];
  if (first === undefined) {
    const waits = outcomes.includes(id) && view.diedMs(process) === Number.POSITIVE_INFINITY;
    return waits ? [{ atMs, what: `enqueued ${enqueued} never hears its outcome` }] : [];
  }
  if (!first.ok || first.ran?.number === job.number) return [];
  return [{ atMs: first.atMs, what: `enqueued ${enqueued} heard the result of payload ${first.ran?.number}` }];
}

function atRest(view: RunView, check: (streams: StreamsAtRest) => Found[]): Found[] {
  return view.streams === undefined ? [] : check(view.streams);
}

function hasLiving(view: RunView, actors: readonly { readonly name: string }[]): boolean {
  const names = new Set(actors.map(({ name }) => name));
  return view.lives.some(({ actor, diedMs }) => names.has(actor) && diedMs === Number.POSITIVE_INFINITY);
}

export const laneInvariants: readonly Invariant[] = [
  storedJobsKept,
  storedJobsEnd,
  oneStoredOutcome,
  storedRunsOnce,
  endedJobsStayEnded,
  refusedNeverRuns,
  receiptsEnd,
];
