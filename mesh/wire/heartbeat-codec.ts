/**
 * Heartbeats off the wire: bytes become a checked message or a kind of garbage.
 *
 * Pure. Decided here: what a heartbeat must look like by itself, so that one
 * bad sender can neither make an entry nor spoil a sum. Not decided here: how it
 * compares with what came before; that is the registry's.
 */
import { type DescMessage, fromBinary, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import {
  type Heartbeat,
  HeartbeatSchema,
  type ManagerHeartbeat,
  ManagerHeartbeatSchema,
  type PoolReport,
  WorkerState,
} from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { HEADER } from "./headers.js";
import { isName, type Subjects } from "./subjects.js";
import { headersOf } from "./wire-headers.js";

/** The largest heartbeat, in bytes. */
const MAX_HEARTBEAT_BYTES = 64 * 1024;
/** The most slots one worker may claim, and the largest count of a manager. */
export const MAX_SLOTS = 65_535;
const MAX_RUNNING_JOBS = 64;
const MAX_LABELS = 32;
const MAX_LABEL_LENGTH = 63;
const MAX_TEXT_LENGTH = 255;
const MAX_OUTCOMES = 64;
const MAX_MISSING = 16;
const MAX_BUCKETS = 128;

/** Why a heartbeat was dropped, each a value of a metric's label. */
export const GARBAGE_KINDS = ["subject", "too_large", "malformed", "identity", "state", "counts", "text"] as const;
export type GarbageKind = (typeof GARBAGE_KINDS)[number];

/** A heartbeat as it came: payload, content type, and the names in its subject. */
export interface RawHeartbeat {
  readonly data: Uint8Array;
  /** The Content-Type header; "" for protobuf. */
  readonly contentType: string;
  readonly pool: string;
  /** The subject's last token: a worker or a manager. */
  readonly sender: string;
}

/** A heartbeat as a message brings it. */
export function rawHeartbeat(msg: Pick<Msg, "subject" | "headers" | "data">, subjects: Subjects): RawHeartbeat {
  const { subject, data } = msg;
  const contentType = headersOf(msg)?.get(HEADER.contentType) ?? "";
  return { data, contentType, pool: subjects.poolOf(subject), sender: subjects.lastOf(subject) };
}

/** A checked message, or why there is none. */
export type Decoded<T> = { readonly ok: true; readonly beat: T } | { readonly ok: false; readonly kind: GarbageKind };

const decoder = new TextDecoder("utf-8", { fatal: true });
/** "{": no protobuf heartbeat begins with it, so JSON is known without its header too. */
const BRACE = 0x7b;

/** Decodes and checks a worker's heartbeat. */
export function decodeHeartbeat(raw: RawHeartbeat): Decoded<Heartbeat> {
  const decoded = decode(HeartbeatSchema, raw);
  if (!decoded.ok) return decoded;
  const kind = checkHeartbeat(decoded.beat, raw);
  return kind === undefined ? decoded : garbage(kind);
}

/** What is wrong with a worker's heartbeat; undefined when nothing is. @param from who should have sent it */
export function checkHeartbeat(beat: Heartbeat, from: Pick<RawHeartbeat, "pool" | "sender">): GarbageKind | undefined {
  if (beat.pool !== from.pool || beat.worker !== from.sender || !isIdentified(beat)) return "identity";
  if (beat.state < WorkerState.STARTING || beat.state > WorkerState.STOPPED) return "state";
  if (!hasSaneCounts(beat)) return "counts";
  return hasSaneText(beat) ? undefined : "text";
}

/** Decodes and checks a manager's heartbeat. */
export function decodeManagerHeartbeat(raw: RawHeartbeat): Decoded<ManagerHeartbeat> {
  const decoded = decode(ManagerHeartbeatSchema, raw);
  if (!decoded.ok) return decoded;
  const { beat } = decoded;
  if (beat.pool !== raw.pool || beat.manager !== raw.sender || !isIdentified(beat)) return garbage("identity");
  if (!isSane(beat.oldestWaitMs) || Object.keys(beat.outcomes).length > MAX_OUTCOMES) return garbage("counts");
  // Managers live by their heartbeats: what cannot be read of ended jobs takes nothing else with it.
  if (beat.report !== undefined && !isSaneReport(beat.report)) delete beat.report;
  return [beat.host, beat.version, beat.coveringStream].every(isText) ? decoded : garbage("text");
}

function isSaneReport({ wait, run, total }: PoolReport): boolean {
  return [wait, run, total].every((counts) => counts.length <= MAX_BUCKETS);
}

function decode<D extends DescMessage>(schema: D, raw: RawHeartbeat): Decoded<MessageShape<D>> {
  if (!isName(raw.pool) || !isName(raw.sender)) return garbage("subject");
  if (raw.data.length > MAX_HEARTBEAT_BYTES) return garbage("too_large");
  try {
    if (isJson(raw)) {
      return { ok: true, beat: fromJsonString(schema, decoder.decode(raw.data), { ignoreUnknownFields: true }) };
    }
    return { ok: true, beat: fromBinary(schema, raw.data, { readUnknownFields: false }) };
  } catch {
    return garbage("malformed");
  }
}

function isJson(raw: RawHeartbeat): boolean {
  return raw.data[0] === BRACE || raw.contentType.startsWith("application/json");
}

function isIdentified(beat: Heartbeat | ManagerHeartbeat): boolean {
  return beat.incarnation > 0n && beat.seq > 0n;
}

function hasSaneCounts(beat: Heartbeat): boolean {
  return (
    beat.slots <= MAX_SLOTS &&
    beat.busy <= MAX_SLOTS &&
    beat.stuck <= beat.busy &&
    beat.runningJobs.length <= MAX_RUNNING_JOBS &&
    isSane(beat.loopLagMs)
  );
}

function hasSaneText(beat: Heartbeat): boolean {
  return (
    isText(beat.host) &&
    isText(beat.version) &&
    beat.runningJobs.every((id) => id.length <= MAX_LABEL_LENGTH) &&
    beat.missingPermissions.length <= MAX_MISSING &&
    beat.missingPermissions.every(isText) &&
    hasSaneLabels(beat.labels)
  );
}

function hasSaneLabels(labels: Readonly<Record<string, string>>): boolean {
  let count = 0;
  for (const key in labels) {
    count += 1;
    const value = labels[key] ?? "";
    if (count > MAX_LABELS || key.length > MAX_LABEL_LENGTH || value.length > MAX_LABEL_LENGTH) return false;
  }
  return true;
}

function isText(text: string): boolean {
  return text.length <= MAX_TEXT_LENGTH;
}

function isSane(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

function garbage(kind: GarbageKind): { readonly ok: false; readonly kind: GarbageKind } {
  return { ok: false, kind };
}
