/**
 * Who is there: a short listen to heartbeats.
 *
 * A pool that is named is asked to beat at once. Without a name every pool that
 * is heard of, by a worker or a manager, is asked, for a little longer than one
 * heartbeat interval. A worker that is dead does not answer, so it is not seen.
 */
import type { Msg } from "nats";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { listen } from "../../mesh/link/runtime.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import { decodeHeartbeat, rawHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import { compareNames } from "../../mesh/wire/worker-selection.js";
import type { Link } from "../link.js";

/** How long a pool that is asked has to answer, and all pools together, in milliseconds. */
const ONE_POOL_MS = 400;
const ALL_POOLS_MS = 1_300;
/** At most this many workers are kept. */
const MAX_WORKERS = 100_000;

/** The newest heartbeat of every worker heard, sorted by pool and worker. */
export async function rollCall(link: Pick<Link, "bus" | "subjects">, pool?: string): Promise<Heartbeat[]> {
  const { bus, subjects } = link;
  const heard = new Map<string, Heartbeat>();
  const asked = new Set<string>();
  const ask = (name: string): void => {
    if (asked.has(name) || asked.size >= MAX_WORKERS) return;
    asked.add(name);
    bus.publish(subjects.controlAll(name), encodeControl("rollCall", {}));
  };
  const onBeat = (msg: Msg): void => {
    const beat = decode(link, msg);
    if (beat === undefined) return;
    ask(beat.pool);
    keep(heard, beat);
  };
  const subscriptions = [bus.subscribe(subjects.every.heartbeat(pool), onBeat)];
  if (pool === undefined) {
    const onManager = (msg: Msg): void => ask(subjects.poolOf(msg.subject));
    subscriptions.push(bus.subscribe(subjects.every.managerHeartbeat(), onManager));
  } else ask(pool);
  await listen(bus.runtime, pool === undefined ? ALL_POOLS_MS : ONE_POOL_MS);
  for (const subscription of subscriptions) subscription.unsubscribe();
  return [...heard.values()].sort((a, b) => compareNames(a.pool, b.pool) || compareNames(a.worker, b.worker));
}

/** The pools of these workers, each once. */
export function poolsOf(workers: readonly Heartbeat[]): string[] {
  return [...new Set(workers.map(({ pool }) => pool))];
}

function decode({ subjects }: Pick<Link, "subjects">, msg: Msg): Heartbeat | undefined {
  const decoded = decodeHeartbeat(rawHeartbeat(msg, subjects));
  return decoded.ok ? decoded.beat : undefined;
}

function keep(heard: Map<string, Heartbeat>, beat: Heartbeat): void {
  const key = `${beat.pool}.${beat.worker}`;
  const known = heard.get(key);
  if (known === undefined && heard.size >= MAX_WORKERS) return;
  if (known !== undefined && isNewer(known, beat)) return;
  heard.set(key, beat);
}

function isNewer(a: Heartbeat, b: Heartbeat): boolean {
  return a.incarnation === b.incarnation ? a.seq > b.seq : a.incarnation > b.incarnation;
}
