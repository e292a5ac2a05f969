/** Jobs that follow others in the durable lane. */
import { PER_FOLLOWER } from "../mesh/handler.js";
import type { Found, Invariant } from "./invariant.js";
import type { Enqueued, RunView } from "./run-view.js";

/** Counted where they are stored. */
const followersOnce: Invariant = {
  name: "next-job-is-enqueued-once",
  promise:
    "Each job of a chain is stored exactly once, after the outcome of the one before it is stored, and only when that is a result.",
  check: (view) => view.enqueued.flatMap((root) => chainOf(view, root)),
};

function chainOf(view: RunView, { job: { number, follows = 0 }, id }: Enqueued): Found[] {
  const found: Found[] = [];
  let before = id;
  for (let place = 1; place <= follows; place += 1) {
    const stored = view.storedJobs.filter((each) => each.number === number + place * PER_FOLLOWER);
    const [first, second] = stored;
    const end = view.storedOutcomes.find((each) => each.id === before);
    const what = `job ${place} after payload ${number}`;
    if (second !== undefined) found.push({ atMs: second.atMs, what: `${what} is stored ${stored.length} times` });
    if (first !== undefined && before !== undefined && before !== "" && !(end?.ok && end.atMs <= first.atMs)) {
      found.push({ atMs: first.atMs, what: `${what} is stored before the result that it follows` });
    }
    if (first === undefined && end?.ok && isAtRest(view, before)) {
      found.push({ atMs: view.endMs, what: `${what} is never stored` });
    }
    before = first?.id;
  }
  return found;
}

/** Whether a job is not in its stream any more: who acknowledged it had to enqueue the next one first. */
function isAtRest({ streams }: RunView, id: string | undefined): boolean {
  return streams !== undefined && id !== undefined && !streams.live.includes(id);
}

export const chainInvariants: readonly Invariant[] = [followersOnce];
