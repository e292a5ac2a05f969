/** What a dispatcher works with: the pool's own books, the connection, and who is told. */

import type { Outcome } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { LiveJob } from "./job.js";
import type { ParkedLimits } from "./parked-queue.js";
import type { Placements } from "./placements.js";
import type { Tally } from "./totals.js";
import type { Roster } from "./workers.js";

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
