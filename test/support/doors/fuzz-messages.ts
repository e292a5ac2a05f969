/** NATS messages that no part of a mesh would send, from a seeded source. */

import { type DescMessage, toBinary, toJsonString } from "@bufbuild/protobuf";
import { HeartbeatSchema, ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { decodeControl } from "../../../mesh/wire/control-codec.js";
import { beatOf, managerBeatOf } from "../meter/beats.js";
import { FuzzDraw } from "../random.js";

/** Those who listen. */
export interface FuzzTargets {
  readonly pool: string;
  readonly worker: string;
  readonly manager: string;
}

/** One message as it goes over the wire. */
export interface FuzzMessage {
  readonly subject: string;
  /** "" for none. */
  readonly reply: string;
  /** The whole block, from "NATS/1.0" on or what stands in its place; undefined for none. */
  readonly headers: Buffer | undefined;
  readonly payload: Buffer;
}

const NAMES = [
  "Pool-Job-Id",
  "Pool-Attempt",
  "Pool-Nonce",
  "Pool-Clock",
  "Pool-Start-Within-Ms",
  "Pool-Timeout-Ms",
  "Pool-Expires-At",
  "Pool-Offer",
  "Pool-Idempotent",
  "Pool-Priority",
  "Pool-Wait",
  "Pool-Wait-For-Pool",
  "Pool-Client",
  "Pool-Worker",
  "Pool-Free",
  "Pool-Age-Ms",
  "Pool-Sent-At",
  "Pool-Bundle",
  ...["Pool-Lane", "Pool-Max-Attempts", "Pool-Backoff", "Pool-Notify", "Pool-Keep", "Pool-Check", "Pool-After-Outcome"],
  ...["Pool-Then", "Pool-Run-At", "Pool-Delay-Ms", "Pool-Cron", "Pool-Cron-Name", "Pool-Schedule", "Pool-Time-Zone"],
  ...["Pool-Overlap", "Pool-Sequence", "Pool-Times", "Pool-Died-At", "Pool-Concurrency-Key", "Nats-Msg-Id"],
  "traceparent",
  "tracestate",
  "Content-Type",
  "Nats-Service-Error",
];
/** What stands in the place of `Pool-Reply`: none of it is a kind. */
const NO_KINDS = ["", "RESULT", "result2", "unknown", "\u00e9", "accepted,busy"];
const VALUES = [
  "",
  "0",
  "1",
  "1",
  "-1",
  "1.5",
  "1e9",
  "9007199254740993",
  "99999999999999999999",
  "high",
  "application/json",
  "a b",
  ...[
    "set",
    "remove",
    "list",
    "@hourly",
    "* * * * * *",
    "5-10",
    "10-5",
    "real:x,real",
    "real:,:",
    "2026-12-24T18:00:00Z",
  ],
  "../..",
  "\u00ff\u00fe",
  "x".repeat(200),
  "x".repeat(20_000),
];
const BODIES = ["", "1", "{}", "[", '{"op":', '{"probe":{}}', "resize", "resize 99999", "resize -1", "nonsense", "\0"];
/** Where a manager with the durable lane is asked, where it stores, and what its streams take from anybody. */
const DOORS = ["enqueue", "lookup", "discard", "lane", "cron", "limits", "batch"];
const STORED = [
  "durable.high",
  "durable.normal",
  "durable.low",
  "durable.odd",
  "outcome",
  "dead",
  "claim",
  "held",
  "lookup",
];
const LATER = ["later", "due", "cron", "fired", "ended"];
const SERVICES = ["PING", "INFO", "STATS", "PING.poolmesh-worker", "STATS.poolmesh-manager", "INFO.x.y"];
const REPLY = "_INBOX.fuzz.";
const SHORTEST_BLOCK = 2;

/** One kind of odd message after another. */
export class FuzzMessages {
  readonly #random: () => number;
  readonly #draw: FuzzDraw;
  readonly #targets: FuzzTargets;
  /** Inboxes that were seen in use; what goes there is never an answer. */
  readonly inboxes: string[] = [];
  #count = 0;

  /** @param random 0 to 1, such as seededRandom() makes it */
  constructor(random: () => number, targets: FuzzTargets) {
    this.#random = random;
    this.#draw = new FuzzDraw(random);
    this.#targets = targets;
  }

  next(): FuzzMessage {
    this.#count += 1;
    const { pool, worker, manager } = this.#targets;
    const other = `fuzz${this.#draw.whole(8)}`;
    switch (this.#draw.whole(15)) {
      case 0:
        return this.#job(`pool.${this.#draw.pick([pool, pool, other])}.submit`);
      case 1:
        return this.#job(`pool.${pool}.submit.${manager}`);
      case 2:
        return this.#job(`pool.${pool}.job`);
      case 3:
        return this.#job(`pool.${pool}.job.${worker}`);
      case 4:
        return this.#job(
          `pool.${this.#draw.pick([pool, other])}.cancel.${this.#draw.pick(["x".repeat(80), "nobody", "%20"])}`,
        );
      case 5:
        return this.#control(
          `pool.${pool}.${this.#draw.pick([`control.${worker}`, "control", `restart.${worker}`, "jobs"])}`,
        );
      case 6:
        return this.#badBeat(`pool.${pool}.heartbeat.${worker}`, HeartbeatSchema, beatOf({ pool, worker }));
      case 7:
        return this.#badBeat(
          `pool.${pool}.manager.${manager}`,
          ManagerHeartbeatSchema,
          managerBeatOf({ pool, manager }),
        );
      case 8:
        return this.#anyBeat(other);
      case 9:
        return this.#message(`$SRV.${this.#draw.pick(SERVICES)}`, this.#reply(), this.#headers(), this.#draw.bytes(40));
      case 10:
      case 11:
        return this.#job(`pool.${this.#draw.pick([pool, pool, other])}.${this.#draw.pick(DOORS)}`);
      case 12: {
        const kind = this.#draw.pick([...STORED, ...LATER]);
        return this.#job(
          `pool.${this.#draw.pick([pool, other])}.${kind}.${this.#draw.pick(["x", "y", "9-9", manager])}`,
        );
      }
      default:
        return this.#stray();
    }
  }

  #job(subject: string): FuzzMessage {
    const payload = this.#random() < 0.5 ? Buffer.from(this.#draw.pick(BODIES)) : this.#draw.bytes(300);
    return this.#message(subject, this.#random() < 0.9 ? this.#reply() : "not.an.inbox", this.#headers(), payload);
  }

  /** A request that is not understood, or changes nothing. */
  #control(subject: string): FuzzMessage {
    for (;;) {
      const payload = this.#random() < 0.5 ? Buffer.from(this.#draw.pick(BODIES)) : this.#draw.bytes(60);
      if (!changesWorker(payload)) return this.#message(subject, this.#reply(), this.#headers(), payload);
    }
  }

  /** Cut off, of somebody else, or with a number that cannot be. */
  #badBeat<D extends DescMessage>(subject: string, schema: D, beat: Parameters<typeof toBinary<D>>[1]): FuzzMessage {
    const binary = Buffer.from(toBinary(schema, beat));
    const json = toJsonString(schema, beat);
    const payload = this.#draw.pick([
      binary.subarray(0, binary.length - 1 - this.#draw.whole(3)),
      Buffer.from(json.replace(/"pool":"/, '"pool":"x')),
      Buffer.from(json.replace(/"incarnation":"\d+"/, '"incarnation":"0"')),
      Buffer.from(json.slice(0, -1 - this.#draw.whole(20))),
      Buffer.concat([binary, Buffer.alloc(70_000)]),
      this.#draw.bytes(200),
    ]);
    return this.#message(subject, "", this.#headers(), payload);
  }

  /** A worker or manager that there is not, in a pool that there is not; well formed at times. */
  #anyBeat(pool: string): FuzzMessage {
    const worker = `ghost${this.#draw.whole(4)}`;
    const number = (): number => this.#draw.pick([0, 1, 2, 65_535, 65_536, 4_000_000_000]);
    const beat = beatOf({ pool, worker, seq: BigInt(this.#count), slots: number(), busy: number() });
    const payload = Buffer.from(toBinary(HeartbeatSchema, beat));
    return this.#message(
      `pool.${pool}.heartbeat.${worker}`,
      "",
      this.#headers(),
      this.#draw.spoil(payload, this.#draw.whole(6)),
    );
  }

  /** To an inbox in use, or beside one. */
  #stray(): FuzzMessage {
    const inbox = this.inboxes[this.#draw.whole(this.inboxes.length)];
    if (inbox === undefined) return this.#message("_INBOX.nobody", "", this.#headers(), this.#draw.bytes(20));
    const beside = inbox.slice(0, inbox.lastIndexOf(".") + 1) + this.#draw.pick(["0_0", "bundle", "zz_zz", "999999_1"]);
    return this.#message(this.#draw.pick([inbox, beside]), "", this.#headers(), this.#draw.bytes(200));
  }

  #headers(): Buffer | undefined {
    const kind = this.#random();
    if (kind < 0.1) return undefined;
    if (kind < 0.2) return Buffer.from(this.#draw.pick(["NATS/1.0\r\n", "NATS/9.9\r\nA: b\r\n\r\n", "\r\n\r\n", "x"]));
    const lines = ["NATS/1.0"];
    for (let i = this.#draw.whole(6); i > 0; i -= 1)
      lines.push(`${this.#draw.pick(NAMES)}: ${this.#draw.pick(VALUES)}`);
    if (this.#random() < 0.5) lines.push(`Pool-Reply: ${this.#draw.pick(NO_KINDS)}`);
    const block = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    return kind < 0.4
      ? Buffer.concat([block.subarray(0, 10), this.#draw.spoil(block.subarray(10), this.#draw.whole(6))])
      : block;
  }

  #message(subject: string, reply: string, given: Buffer | undefined, payload: Buffer): FuzzMessage {
    // nats-server 2.15.2 itself ends (panic) of so short a block where a stream sends on what it stores
    const endsBroker = subject.includes(".outcome.") && given !== undefined && given.length < SHORTEST_BLOCK;
    return { subject, reply, headers: endsBroker ? undefined : given, payload };
  }

  #reply(): string {
    return `${REPLY}${this.#count}`;
  }
}

/** Whether a worker does as it is told: then it is no garbage. */
function changesWorker(payload: Buffer): boolean {
  try {
    const { op } = decodeControl(payload).request;
    return op.case !== undefined && op.case !== "probe";
  } catch {
    return false;
  }
}
