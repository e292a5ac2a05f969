/** How many stored jobs of each pool wait at managers for their limits: a short listen to the heartbeats of managers. */
import { setTimeout as delay } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { ManagerHeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Link } from "../link.js";

/** A little longer than one heartbeat interval of a manager, in milliseconds. */
const LISTEN_MS = 1_300;
const MAX_POOLS = 10_000;

/** By pool; one of which no manager is heard is not there. @param pool undefined for all pools */
export async function limitedJobs(
  { bus, subjects }: Pick<Link, "bus" | "subjects">,
  pool: string | undefined,
): Promise<Map<string, number>> {
  const heard = new Map<string, Map<string, number>>();
  const subscription = bus.subscribe(subjects.every.managerHeartbeat(pool), ({ data }) => {
    try {
      const beat = fromBinary(ManagerHeartbeatSchema, data);
      const managers = heard.get(beat.pool) ?? new Map<string, number>();
      if (heard.size < MAX_POOLS) heard.set(beat.pool, managers);
      managers.set(beat.manager, beat.stopped ? 0 : beat.durableLimited);
    } catch {
      // No heartbeat of a manager.
    }
  });
  await delay(LISTEN_MS);
  subscription.unsubscribe();
  const sum = (counts: Iterable<number>): number => [...counts].reduce((total, each) => total + each, 0);
  return new Map([...heard].map(([name, managers]) => [name, sum(managers.values())]));
}
