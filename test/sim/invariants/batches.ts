/** Batches of stored jobs: one completion job each, and never before the last outcome. */
import { completionId, memberId } from "../../../mesh/durable/batches/batch-place.js";
import type { Invariant } from "./invariant.js";

/** Half of the promise: not too early. */
const completedLast: Invariant = {
  name: "completion-after-the-last-outcome",
  promise: "The completion job of a batch runs only after every job of the batch has its outcome, and is told of all.",
  check: (view) =>
    view.completions.flatMap(({ batch, atMs, total, succeeded, failed }) => {
      const jobs = view.batches.find((each) => each.batch === batch)?.jobs ?? [];
      const { outcomes = [], outcomesAtMs = [] } = view.streams ?? {};
      const late = jobs.flatMap((_job, index) => {
        const id = memberId(batch, index);
        const endedAtMs = outcomesAtMs[outcomes.indexOf(id)];
        return endedAtMs !== undefined && endedAtMs <= atMs ? [] : [id];
      });
      const told = total === jobs.length && succeeded + failed === total;
      const wrong = jobs.filter((job) => job.throws === true).length > failed;
      return [
        ...late.map((id) => ({ atMs, what: `batch ${batch} is completed before job ${id} has its outcome` })),
        ...(told
          ? []
          : [{ atMs, what: `batch ${batch} of ${jobs.length} jobs: ${succeeded} + ${failed} of ${total}` }]),
        ...(wrong ? [{ atMs, what: `batch ${batch}: ${failed} failed, more jobs throw` }] : []),
      ];
    }),
};

/** The other half: once. A run of the completion job that is lost with its worker or manager is followed by another attempt. */
const completedOnce: Invariant = {
  name: "one-completion-job",
  promise: "A batch has one completion job: no two runs of it have the same attempt.",
  check: (view) => {
    const seen = new Set<string>();
    return view.completions.flatMap(({ batch, id, attempt, atMs }) => {
      const run = `${batch} attempt ${attempt}`;
      const isFirst = !seen.has(run) && id === completionId(batch);
      seen.add(run);
      return isFirst ? [] : [{ atMs, what: `the completion job ${id} of batch ${run} runs once more` }];
    });
  },
};

/** And it comes. */
const storedBatchesEnd: Invariant = {
  name: "stored-batches-end",
  promise: "Once all faults are over, a batch that is stored is completed, and its completion job has an outcome.",
  check: (view) => {
    const { streams } = view;
    if (streams === undefined || streams.live.length > 0) return [];
    return view.batches.flatMap(({ batch, isStored }) => {
      if (!isStored) return [];
      const found = streams.batches.find(({ id }) => id === batch);
      if (found?.isCompleted && streams.outcomes.includes(completionId(batch))) return [];
      const how = found === undefined ? "is not there" : `has ${found.counted} outcomes, sealed: ${found.isSealed}`;
      return [{ atMs: streams.atMs, what: `batch ${batch} is stored, and is not completed: it ${how}` }];
    });
  },
};

export const batchInvariants: readonly Invariant[] = [completedLast, completedOnce, storedBatchesEnd];
