/**
 * What a manager cannot do without on the broker, and who hears of it when it is
 * refused: its readiness, its log, and the callers whose jobs cannot leave.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { BrokerRefusal } from "../../../mesh/link/broker/refusals.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { MissingRights } from "../../../mesh/link/missing-rights.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import type { Logger } from "../../../mesh/process/log.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Pool } from "./pool.js";

/** How long a refused publish counts, in milliseconds. */
const REFUSED_FOR_MS = 10_000;

/** What follows the pool's name in subjects that a manager can do without: it shows its jobs there, and runs them all the same. */
const NOT_NEEDED: readonly string[] = ["jobs", "event"];

/** What it works with. */
export interface ManagerRightsParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly log: Logger;
  readonly subscriptions: () => readonly Subscription[];
  /** A pool that is known. */
  readonly known: (name: string) => Pool | undefined;
}

/** Watches what the broker refuses a manager, until it is stopped. */
export function watchManagerRights({ bus, subjects, log, subscriptions, known }: ManagerRightsParts): MissingRights {
  const nameOf = ({ operation, subject }: BrokerRefusal): string | undefined => {
    if (operation === "subscribe") {
      // Credentials of an earlier version do not allow it. Clients then send their jobs one by one.
      if (subjects.afterPool(subject)[0] === "submissions") return undefined;
      return subscriptions().some((each) => each.subject === subject) ? `subscribe ${subject}` : undefined;
    }
    if (!subject.startsWith(`${subjects.prefix}.`)) return undefined;
    const [verb = "", whom] = subjects.afterPool(subject);
    if (NOT_NEEDED.includes(verb)) return undefined;
    const pool = subjects.poolOf(subject);
    const name = `publish ${subjects.prefix}.${pool}.${verb}${whom === undefined ? "" : ".*"}`;
    if (verb === "job") {
      const error = new PoolError("permission_denied", `the broker refuses this manager: ${name}`, {
        maybeExecuted: true,
      });
      known(pool)?.onRefused(whom, error);
    }
    return name;
  };
  const needed = "this manager needs: it is not ready";
  return new MissingRights({
    bus,
    log,
    needed,
    nameOf,
    refusedForMs: REFUSED_FOR_MS,
    subscriptions,
    onChange: () => {},
  });
}
