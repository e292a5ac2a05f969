/** Who is on the bus, what captures its subjects, and whether clocks agree. */

import { duration, plural } from "../../browser/format.js";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { parseJson } from "../../mesh/job/codec.js";
import { CLOCK_OFF_MS, clockOffsetMs } from "../../mesh/wire/clock-offset.js";
import { SERVICE_NAMES } from "../../mesh/wire/subjects.js";
import { askedSubjects, streamsCovering } from "../../services/manager/stream-check.js";
import { rollCall } from "../control/roll-call.js";
import type { Link } from "../link.js";
import type { Finding } from "./finding.js";
import { type SeenPart, twinFindings } from "./twin-findings.js";
import { type VersionedPart, versionFindings } from "./version-findings.js";

const PING_MS = 500;
const SERVICES = Object.entries(SERVICE_NAMES) as [VersionedPart, string][];
/** At most this many services are counted. */
const MAX_SERVICES = 100_000;
/** What clocks that are off cost: the mesh measures ages without them. */
const CLOCK_COSTS = "times in logs differ, and so do deadlines of senders that only name an instant (Pool-Expires-At)";
/** Where brokers from 2.10 on tell their time. */
const SERVER_TIME = "$SYS.REQ.USER.INFO";

/** Streams that would answer in place of workers or managers. */
export async function streamFindings({ bus, subjects }: Link): Promise<Finding[]> {
  if (bus.nc.info?.jetstream !== true) return [];
  const found = new Map<string, string>();
  for (const subject of askedSubjects(subjects)) {
    const streams = await streamsCovering(bus, subject).catch(() => undefined);
    if (streams === undefined) return [{ state: "note", what: "streams", found: "this account may not list them" }];
    for (const stream of streams) found.set(stream, subject);
  }
  if (found.size === 0) return [{ state: "ok", what: "streams", found: "none captures our subjects" }];
  return [...found].map(([stream, subject]) => ({
    state: "bad",
    what: "streams",
    found: `${stream} captures ${subject}: its acknowledgements look like answers`,
    advice: `take ${subject} out of the stream's subjects, or give the mesh another --prefix`,
  }));
}

/** Managers, meters and workers that answer. */
export async function serviceFindings(link: Link): Promise<Finding[]> {
  const [seen, workers] = await Promise.all([seenServices(link), rollCall(link)]);
  const managers = seen.filter(({ part }) => part === "manager").length;
  const meters = seen.filter(({ part }) => part === "meter").length;
  const pools = new Set(workers.map(({ pool }) => pool)).size;
  return [
    managers > 0
      ? { state: "ok", what: "managers", found: String(managers) }
      : {
          state: "note",
          what: "managers",
          found: "none",
          advice: "clients need one: poolmesh manager, or poolmesh up",
        },
    meters > 0
      ? { state: "ok", what: "meters", found: String(meters) }
      : { state: "note", what: "meters", found: "none", advice: "for the page and metrics: poolmesh meter" },
    workers.length > 0
      ? { state: "ok", what: "workers", found: `${workers.length} in ${plural(pools, "pool")}` }
      : { state: "note", what: "workers", found: "none", advice: "poolmesh worker --pool NAME --handler FILE" },
    ...twinFindings(seen),
    ...versionFindings(seen),
    ...workerClockFindings(workers, Date.now()),
  ];
}

/** This machine's clock against the broker's. */
export async function clockFindings({ bus }: Link): Promise<Finding[]> {
  const sentMs = Date.now();
  const reply = await bus.nc.request(SERVER_TIME, undefined, { timeout: 1_000 }).catch(() => undefined);
  const receivedMs = Date.now();
  const brokerMs = reply === undefined ? Number.NaN : Date.parse(timeIn(reply.string()));
  if (Number.isNaN(brokerMs))
    return [{ state: "note", what: "clock", found: "the broker does not tell its time (2.10 does)" }];
  const skewMs = (sentMs + receivedMs) / 2 - brokerMs;
  return [clockFinding(skewMs)];
}

/** Pure. @param skewMs ours less the broker's, in milliseconds */
export function clockFinding(skewMs: number): Finding {
  const size = Math.abs(skewMs);
  const found =
    size < 50 ? "agrees with the broker's" : `${duration(size)} ${skewMs > 0 ? "ahead of" : "behind"} the broker's`;
  if (size < CLOCK_OFF_MS) return { state: "ok", what: "clock", found };
  return { state: "note", what: "clock", found, advice: `set the clock by NTP: ${CLOCK_COSTS}` };
}

/** Workers whose wall clock is not ours. Pure. @param nowMs our wall clock when they answered, milliseconds since the epoch */
export function workerClockFindings(workers: readonly Heartbeat[], nowMs: number): Finding[] {
  const off = workers.filter((worker) => Math.abs(clockOffsetMs(worker, nowMs)) > CLOCK_OFF_MS);
  if (off.length === 0) return [];
  const names = off.slice(0, 5).map((each) => {
    const offsetMs = clockOffsetMs(each, nowMs);
    return `${each.worker} on ${JSON.stringify(each.host)} ${duration(Math.abs(offsetMs))} ${offsetMs > 0 ? "ahead" : "behind"}`;
  });
  const found = `${plural(off.length, "worker")} with another time than ours: ${names.join(", ")}`;
  return [{ state: "note", what: "workers' clocks", found, advice: `set the clocks by NTP: ${CLOCK_COSTS}` }];
}

async function seenServices({ inbox }: Link): Promise<SeenPart[]> {
  const seen: SeenPart[] = [];
  await inbox.askAll({ subject: "$SRV.PING", limitMs: PING_MS }, ({ data }) => {
    const { name, id, version, metadata } = parse(Buffer.from(data).toString());
    const [part] = SERVICES.find(([, service]) => service === name) ?? [];
    if (part === undefined || seen.length >= MAX_SERVICES) return;
    const { pool } = (metadata ?? {}) as { pool?: unknown };
    seen.push({
      part,
      id: String(id ?? ""),
      version: String(version ?? ""),
      pool: typeof pool === "string" ? pool : undefined,
    });
  });
  return seen;
}

function timeIn(text: string): string {
  const { server } = parse(text) as { server?: { time?: unknown } };
  return String(server?.time ?? "");
}

function parse(text: string): Record<string, unknown> {
  try {
    return (parseJson(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
