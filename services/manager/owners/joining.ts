/**
 * A manager that joins learns who is there before it takes anything, and says that it is there before it does.
 *
 * It asks where managers are asked after their jobs, and does not listen there itself yet: so the broker tells one that is
 * alone at once. The others send heartbeats, and answer. They keep the work meanwhile: until this one has heard them, it is
 * in no queue group, and its heartbeats say that it takes nothing. Then it says that it joins, and takes jobs after a round
 * trip: of two that join at the same moment, the one whose word came second has heard the other.
 *
 * Not decided here: who owns an id (peers.ts), and who is asked for one (earlier-owners.ts).
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import { JobQueryAnswerSchema, JobQuerySchema } from "../../../gen/poolmesh/v1/job_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { listenOnce } from "../../../mesh/link/runtime.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ALL_POOLS, isName, type Subjects } from "../../../mesh/wire/subjects.js";
import { headersOf, isNoResponders, type Reply, streamOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import type { Peers } from "./peers.js";

/** The longest wait for the broker, in milliseconds. */
const ROUND_TRIP_LIMIT_MS = 2_000;
/** How long the others have to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 300;
/** One that answers and sends no heartbeat at once is of an earlier version: it sends one every second. */
const HEARTBEAT_LIMIT_MS = 1_100;
const LOOK_INTERVAL_MS = 10;

/** What it works with. */
export interface JoiningParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  /** The pools that it serves; undefined for all. */
  readonly pools: readonly string[] | undefined;
  readonly peers: Peers;
  readonly inbox: () => Inbox;
  /** Sends this manager's heartbeats. */
  readonly beat: () => void;
  /** The others were heard: from now on it hears what is asked of all managers, and what is said to it alone. */
  readonly onHeard: () => void;
  /** It may take submissions. */
  readonly onJoined: () => void;
}

export class Joining {
  readonly #parts: JoiningParts;
  #isUnderWay = false;
  #hasJoined = false;
  #isStopped = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** Whether it does not take submissions yet, and will. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Whether it takes submissions, or did before it stopped. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Resolves when it takes submissions. */
  async start(): Promise<void> {
    this.#isUnderWay = true;
    await this.#hear();
    if (this.#isStopped) return;
    this.#parts.onHeard();
    await this.#join();
    if (!this.#isStopped) this.#parts.onJoined();
  }

  /** It takes nothing new. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when the others were heard; at once when there is none. */
  async #hear(): Promise<void> {
    const { bus, inbox, peers } = this.#parts;
    const answered = new Set<string>();
    const asked = this.#subjects();
    let absent = 0;
    const token = inbox().open({
      onReply: (msg) => {
        if (isNoResponders(msg)) absent += 1;
        else this.#onAnswer(msg, answered);
      },
    });
    for (const subject of asked) this.#say(subject, "0", token);
    // The broker's word that nobody listens comes before this ends.
    await bus.flush(ROUND_TRIP_LIMIT_MS);
    for (let heardMs = 0; absent < asked.length; ) {
      const isMissed = [...answered].some((manager) => !peers.isKnown(manager));
      if (heardMs >= (isMissed ? HEARTBEAT_LIMIT_MS : ANSWER_LIMIT_MS)) break;
      heardMs += await listenOnce(bus.runtime, LOOK_INTERVAL_MS);
    }
    inbox().close(token);
  }

  /** Says that it takes submissions from now on. Resolves when the broker has it, and who said so before was heard. */
  async #join(): Promise<void> {
    const { bus, inbox, beat } = this.#parts;
    this.#isUnderWay = false;
    this.#hasJoined = true;
    beat();
    const token = inbox().open({ onReply: (msg) => this.#onAnswer(msg) });
    for (const subject of this.#subjects()) this.#say(subject, "1", token);
    bus.runtime.after(HEARTBEAT_LIMIT_MS, () => inbox().close(token), "background");
    await bus.flush(ROUND_TRIP_LIMIT_MS);
  }

  /** Another manager joins, or is about to; false for any other message. */
  hears(msg: Msg): boolean {
    const said = headersOf(msg);
    const word = said?.get(HEADER.joins) ?? "";
    if (word === "") return false;
    const { bus, subjects, manager, peers, beat } = this.#parts;
    const from = said?.get(HEADER.manager) ?? "";
    if (from === manager || !isName(from)) return true;
    const pool = subjects.poolOf(msg.subject);
    if (word === "1") peers.onJoins(from, pool === ALL_POOLS ? undefined : pool, bus.runtime.now());
    // One that takes no submissions of others has none of their ids.
    if (!this.#hasJoined) return true;
    if (word === "0") beat();
    if (!bus.mayAnswer(msg.reply)) return true;
    const answer = toBinary(JobQueryAnswerSchema, create(JobQueryAnswerSchema, { manager }));
    bus.publish(msg.reply, answer, { headers: this.#headers(peers.owns && this.#serves(pool) ? `1 ${pool}` : "0") });
    return true;
  }

  #onAnswer(msg: Reply, answered?: Set<string>): void {
    const { bus, manager: self, peers } = this.#parts;
    if (isNoResponders(msg) || streamOf(msg) !== undefined) return;
    const manager = managerOf(msg.data);
    if (manager === undefined || manager === self) return;
    answered?.add(manager);
    const [word, pool] = (headersOf(msg)?.get(HEADER.joins) ?? "").split(" ");
    if (word === "1") peers.onJoins(manager, pool === ALL_POOLS ? undefined : pool, bus.runtime.now());
  }

  /** @param pool as in a subject */
  #serves(pool: string): boolean {
    const { pools } = this.#parts;
    return pools === undefined || pools.includes(pool);
  }

  #subjects(): string[] {
    const { subjects, pools } = this.#parts;
    return pools?.map((pool) => subjects.jobs(pool)) ?? [subjects.jobs(undefined)];
  }

  /** Managers of before take it for a question after a job that nobody has, and answer too. */
  #say(subject: string, word: "0" | "1", token: string): void {
    const { bus, manager, inbox } = this.#parts;
    const query = create(JobQuerySchema, { asker: manager, query: { case: "get", value: { jobId: manager } } });
    const payload = toBinary(JobQuerySchema, query);
    bus.publish(subject, payload, { headers: this.#headers(word), reply: inbox().subject(token) });
  }

  #headers(word: string): ReturnType<typeof wireHeaders> {
    const headers = wireHeaders();
    headers.append(HEADER.joins, word);
    headers.append(HEADER.manager, this.#parts.manager);
    return headers;
  }
}

/** Who answers; undefined for what is no answer. */
function managerOf(payload: Uint8Array): string | undefined {
  try {
    const { manager } = fromBinary(JobQueryAnswerSchema, payload);
    return isName(manager) ? manager : undefined;
  } catch {
    return undefined;
  }
}
