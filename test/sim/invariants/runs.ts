/** What handlers do. */
import { ACCEPT_AFTER_MS } from "../mesh/foreign-worker.js";
import type { Invariant } from "./invariant.js";
import type { FaultStep, HandlerRun, RunView, Submission } from "./run-view.js";

/** How late a start may be, milliseconds after the caller's deadline: what a message takes on a good link, and a tolerance. */
const START_TOLERANCE_MS = 300;

/** Nobody can tell a worker that says nothing for so long after it began a job from one that is stopped, milliseconds. */
const UNHEARD_MS = 500;
/** An offer that was longer on its way is late: a worker that keeps leases does not start it, milliseconds. */
const LATE_OFFER_MS = 235;
/** A manager offers a job that nobody accepted again after this time, milliseconds. */
const OFFERED_AGAIN_MS = 800;

/** What a process says may be lost when it is killed so soon after it, milliseconds. */
const UNSENT_MS = 1;

/** Counted by runs: what a manager has heard of them does not matter. */
const runsOnce: Invariant = {
  name: "runs-once",
  promise:
    "A job that is not idempotent is started at most once, except where docs/faults.md has it among the known limits.",
  check: (view) =>
    [...groupBy(countedRuns(view), (run) => `${run.number} ${run.id}`).values()].flatMap((all) => {
      const runs = all.filter((run) => !isUnsent(view, run) && !isUnheard(view, run, all));
      const [run] = runs;
      if (run === undefined) return [];
      const { number, id } = run;
      const submissions = view.submissions.filter(({ job }) => job.number === number && (job.id ?? id) === id);
      const [first] = submissions;
      if (first === undefined || first.job.idempotent === true) return [];
      const tooMany = runs[1 + newTries(view, submissions)];
      if (tooMany === undefined) return [];
      const where = runs.map(({ worker, attempt }) => `${worker} attempt ${attempt}`).join(", ");
      return [{ atMs: tooMany.startMs, what: `payload ${number} ran ${runs.length} times: ${where}` }];
    }),
};

/**
 * Runs of workers that keep the rules without which nobody can keep the promise.
 *
 * A bare worker says nothing before its result, and where heartbeats are heard its
 * result is nobody's word: no manager can tell its run from an offer that was lost. Where
 * there are only such workers, they too start an offer that was late.
 * A worker that keeps no leases and hears no revocations starts what it reads after a
 * stall, when its manager has taken it for stopped; and it starts an offer that was
 * late, so that its answer comes after the job was offered again.
 */
function countedRuns(view: RunView): readonly HandlerRun[] {
  const bare = view.bareWorkers;
  const isAllBare = bare.size === view.plan.workers.length;
  return view.runs.filter((run) => {
    if (bare.has(run.worker)) return isAllBare && !isLateOffer(view, run);
    if (view.isOurs(run.worker)) return true;
    const isLate = view.silentMs(run.worker, run.startMs - OFFERED_AGAIN_MS, run.startMs) >= LATE_OFFER_MS;
    return !isLate && !view.wasRevoked(run, run.startMs);
  });
}

/** Whether the link of a manager may have kept the offer of a run: a bare worker starts it all the same. */
function isLateOffer(view: RunView, { startMs }: HandlerRun): boolean {
  const fromMs = startMs - OFFERED_AGAIN_MS;
  return view.plan.managers.some(({ name }) => view.unheardMs(name, fromMs, startMs) >= LATE_OFFER_MS);
}

/**
 * Whether a worker was killed as it began, or while what it said was still on its way: that may be lost with its connection.
 * A foreign worker says nothing again when only its connection was lost. It begins before
 * it says `accepted`; its heartbeat has listed the id, which tells nothing of a submission whose caller chose the id.
 */
function isUnsent(view: RunView, run: HandlerRun): boolean {
  const isChosen = view.submissions.some(({ job }) => job.number === run.number && job.id !== undefined);
  const silentMs = isChosen && !view.isOurs(run.worker) ? ACCEPT_AFTER_MS : 0;
  const diedMs = view.diedMs(run.process);
  const lostMs = view.isOurs(run.worker) ? diedMs : Math.min(diedMs, view.brokenMs(run.worker, run.startMs));
  return lostMs - run.startMs <= silentMs + UNSENT_MS + view.wayMs(run.worker, run.startMs);
}

/**
 * Whether a worker began, nothing that it said came, since its link kept it or it was connecting again, as it was before if that is long ago,
 * and only then the job began elsewhere.
 */
export function isUnheard(view: RunView, run: HandlerRun, all: readonly HandlerRun[]): boolean {
  const next = all.find(({ startMs }) => startMs > run.startMs);
  if (next === undefined) return false;
  const sinceMs = Math.min(UNHEARD_MS, next.startMs - run.startMs);
  const wasSilent = view.unheardMs(run.worker, next.startMs - UNHEARD_MS, next.startMs) >= UNHEARD_MS;
  const keptMs = view.unheardMs(run.worker, run.startMs, next.startMs);
  const isSilent = keptMs >= sinceMs || lostItsWord(view, run, next.startMs - sinceMs);
  return isSilent && (wasSilent || sinceMs === UNHEARD_MS);
}

/** Whether the connection of a worker broke while its first word of a run was on its way, and was made again only after this time. */
function lostItsWord(view: RunView, { worker, startMs }: HandlerRun, untilMs: number): boolean {
  const brokenMs = view.brokenMs(worker, startMs);
  const isLost = brokenMs - startMs <= UNSENT_MS + view.wayMs(worker, startMs);
  return isLost && brokenMs + view.reconnectingMs(worker, brokenMs, brokenMs) >= untilMs;
}

/** A manager sends heartbeats of a pool so often, milliseconds. */
const MANAGER_HEARTBEAT_MS = 1_000;

/**
 * A caller that submits again after an error wants another try. So it is after a
 * result that nobody remembers, and at another manager that shares no ids with the first.
 */
function newTries(view: RunView, submissions: readonly Submission[]): number {
  return submissions.filter((each, i) => {
    const earlier = submissions.slice(0, i);
    if (earlier.some((other) => areStrangers(view, other, each))) return true;
    if (earlier.some((other) => wasGivenUp(view, other, each) || wasForgotten(view, other, each))) return true;
    const before = earlier.filter(({ outcomes }) => outcomes.some(({ atMs }) => atMs <= each.atMs));
    return before.some(({ outcomes, atMs }) => outcomes.some(({ ok }) => !ok) || hasDied(view, atMs, heardMs(each)));
  }).length;
}

/** Whether the manager of an earlier submission died with it before a later one was heard: the id is a new job then. */
function wasGivenUp(view: RunView, earlier: Submission, later: Submission): boolean {
  return earlier.outcomes.some(({ ok }) => !ok) && hasDied(view, earlier.atMs, heardMs(later));
}

/** Whether the manager that kept the result of an earlier submission was gone before a later one was heard. */
function wasForgotten(view: RunView, earlier: Submission, later: Submission): boolean {
  const untilMs = heardMs(later);
  return earlier.outcomes.some(({ ok, atMs }) => ok && hasDied(view, atMs - START_TOLERANCE_MS, untilMs));
}

/** Until when a submission may have lain on its way to a manager, or with one that died. */
function heardMs({ outcomes }: Submission): number {
  return outcomes[0]?.atMs ?? Number.POSITIVE_INFINITY;
}

/** Whether a manager died meanwhile: the outcomes that it kept are gone. */
function hasDied(view: RunView, fromMs: number, toMs: number): boolean {
  const names = managerNames(view);
  return view.lives.some(
    ({ actor, diedMs }) => names.has(actor) && diedMs >= fromMs && diedMs <= toMs && diedMs < Number.POSITIVE_INFINITY,
  );
}

/** Others take the ids of a manager over when they have not heard it for so long, milliseconds. */
const MUTE_MS = 2_500;

/** And after so long when its connection is down, milliseconds. */
const GONE_MS = 600;

/** Whether a manager was cut off for long, or its broker stood still, so that another one takes its ids while it may still have jobs. */
function hasLostIds(view: RunView, fromMs: number, toMs: number): boolean {
  const names = managerNames(view);
  return view.faultsDuring(fromMs, toMs).some((step) => {
    if (step.do === "pause-broker") {
      const isOfManager = view.plan.managers.some(({ broker }) => broker === undefined || broker === step.broker);
      return isOfManager && view.plan.brokers > 1 && view.brokerStoppedMs(fromMs, toMs) >= MUTE_MS;
    }
    if (!("process" in step) || !names.has(step.process)) return false;
    return (step.do === "down" || step.do === "cut") && step.forMs >= GONE_MS;
  });
}

/** Whether two submissions may be at managers that do not know of each other: both own the same id. */
function areStrangers(view: RunView, first: Submission, second: Submission): boolean {
  const { managers, workers, callers } = view.plan;
  const embedded = new Set(callers.filter(({ kind }) => kind === "embedded").map(({ name }) => name));
  const knownMs = MANAGER_HEARTBEAT_MS + START_TOLERANCE_MS;
  const isUnknownPool = workers.every(({ kind }) => kind === "bare") && second.atMs - first.atMs <= knownMs;
  const names = managerNames(view);
  const services = view.lives.filter(({ actor }) => names.has(actor));
  const isAlone = !services.some(({ bornMs, diedMs }) => bornMs <= first.atMs && diedMs >= second.atMs);
  const isEmbedded = first.caller !== second.caller && (embedded.has(first.caller) || embedded.has(second.caller));
  const areTwo = managers.length > 1 && first.caller !== second.caller;
  const isMute = managers.some(({ name }) => view.unheardMs(name, first.atMs, heardMs(second)) >= MUTE_MS);
  // A program that embeds a manager has one more.
  return (
    (managers.length + embedded.size > 1 && isUnknownPool) ||
    (managers.length > 1 && hasLostIds(view, first.atMs, heardMs(second))) ||
    (isEmbedded && isAlone) ||
    (areTwo && isMute)
  );
}

function managerNames(view: RunView): ReadonlySet<string> {
  return new Set(view.plan.managers.map(({ name }) => name));
}

/**
 * Whether nobody could measure how late a submission arrived: a manager takes the
 * quickest message of a caller for its measure, and all that this caller has sent
 * until then was delayed, by its own link or by that of a manager. A broker or a
 * manager that stands still delays too; but a caller that gave its job up meanwhile
 * does not answer for it, whatever was lost on the way.
 */
function isWithoutMeasure(view: RunView, { caller, atMs, deadlineMs }: Submission): boolean {
  const isManager = (step: FaultStep): boolean =>
    "process" in step && view.plan.managers.some(({ name }) => name === step.process);
  const isOfWay = (step: FaultStep): boolean => isManager(step) || ("process" in step && step.process === caller);
  const delays = view
    .faultsDuring(atMs, deadlineMs)
    .filter((step) => (step.do === "delay" || step.do === "slow" || step.do === "hold") && isOfWay(step));
  // Each manager measures for itself, and which of several had the caller's earlier jobs is not known here.
  const isMeasured = (step: FaultStep): boolean =>
    view.plan.managers.length === 1 && view.submissions.some((each) => each.caller === caller && each.atMs < step.atMs);
  return delays.some((step) => !isMeasured(step));
}

/**
 * Whether a worker could not measure how late an offer came: its link was slow, and until then a manager had told it nothing. A manager first
 * speaks to the workers of a pool when it first has a job for it.
 */
function isOfFirstWords(view: RunView, { atMs, deadlineMs }: Submission, worker: string, startMs: number): boolean {
  const names = managerNames(view);
  const bornMs = view.lives
    .filter((life) => names.has(life.actor) && life.bornMs <= startMs)
    .map((life) => life.bornMs);
  const isSlow = ({ do: what }: FaultStep): boolean => what === "delay" || what === "slow" || what === "hold";
  return view
    .faultsDuring(atMs, deadlineMs)
    .filter((step) => isSlow(step) && "process" in step && step.process === worker)
    .some((step) => bornMs.some((born) => !view.submissions.some((each) => each.atMs > born && each.atMs < step.atMs)));
}

/** Nobody waits for it any more. */
const startsInTime: Invariant = {
  name: "starts-before-its-deadline",
  promise:
    "No handler of ours starts after its caller's deadline, unless all messages of that caller, or of a manager to that worker, were delayed from the first on.",
  check: (view) => {
    const callers = groupBy(view.submissions, ({ job }) => job.number);
    return view.runs.flatMap(({ number, startMs, worker }) => {
      if (!view.isOurs(worker)) return [];
      const submissions = callers.get(number) ?? [];
      // A stored job has no deadline.
      if (submissions.length === 0) return [];
      if (submissions.some((each) => isWithoutMeasure(view, each))) return [];
      if (submissions.some((each) => isOfFirstWords(view, each, worker, startMs))) return [];
      const deadlineMs = Math.max(...submissions.map((each) => each.deadlineMs));
      const lateMs = startMs - deadlineMs;
      if (!(lateMs > START_TOLERANCE_MS)) return [];
      return [
        { atMs: startMs, what: `payload ${number} starts at ${worker} ${Math.round(lateMs)} ms after its deadline` },
      ];
    });
  },
};

/** Slots bound what runs at once. */
const withinSlots: Invariant = {
  name: "within-slots",
  promise: "A worker never runs more handlers at once than it has slots.",
  check: (view) =>
    view.lives.flatMap(({ process, slots, actor }) => {
      if (slots === 0) return [];
      const runs = view.runs.filter((run) => run.process === process);
      const over = runs.find(({ startMs }) => runningAt(runs, startMs) > slots);
      if (over === undefined) return [];
      return [
        { atMs: over.startMs, what: `${actor} runs ${runningAt(runs, over.startMs)} handlers in ${slots} slots` },
      ];
    }),
};

function runningAt(runs: readonly HandlerRun[], atMs: number): number {
  return runs.filter(({ startMs, endMs }) => startMs <= atMs && endMs > atMs).length;
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export const runInvariants: readonly Invariant[] = [runsOnce, startsInTime, withinSlots];
