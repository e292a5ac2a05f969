/** What a dispatcher works with: the pool's own books, the connection, and who is told. */
import type { Bus } from "../../mesh/bus.js";
import type { Inbox } from "../../mesh/inbox.js";
import type { Outcome } from "../../mesh/job.js";
import type { Subjects } from "../../mesh/subjects.js";
import type { LiveJob } from "./live-job.js";
import type { ParkedLimits } from "./parked-queue.js";
import type { Placements } from "./placements.js";
import type { Roster } from "./roster.js";
import type { Tally } from "./tally.js";

/** What a dispatcher works with. */
export interface DispatcherParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly inbox: Inbox;
  /** Marks the replies to this pool's jobs. */
  readonly mark: string;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly placements: Placements;
  readonly tally: Tally;
  readonly limits: ParkedLimits;
  /** The pool has workers that send no heartbeats. */
  readonly bare: boolean;
  readonly now: () => number;
  readonly onStart?: (job: LiveJob, worker: string) => void;
  readonly onFinish?: (outcome: Outcome) => void;
  /** Called when the first job comes in and when the last has ended. */
  readonly onBusy: (busy: boolean) => void;
}
