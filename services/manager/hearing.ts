/**
 * What a manager hears on the bus: heartbeats of workers, cancels and submissions.
 *
 * Decided here: the subjects it subscribes to and which pool each message goes to.
 */
import type { Msg } from "nats";
import type { ManagerHeartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { jobCanceled, PoolError, toPoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { drainSubscription, type Subscription } from "../../mesh/link/subscription.js";
import { Ages } from "../../mesh/wire/ages.js";
import {
  decodeRevocation,
  HeardCancels,
  type Meaning,
  meaningOf,
  type Revocation,
} from "../../mesh/wire/cancel-messages.js";
import { errorText, writeErrorHeaders } from "../../mesh/wire/error-headers.js";
import { decodeJobHeaders, encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { decodeHeartbeat, decodeManagerHeartbeat, rawHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import { QUEUE_MANAGERS, type Subjects } from "../../mesh/wire/subjects.js";
import { type HeaderReader, headersOf, senderOf } from "../../mesh/wire/wire-headers.js";
import { DroppedSubmissions } from "./doors/dropped-submissions.js";
import { answerAgain, answerSubmission, type Heard, type NatsDoor, refuse } from "./doors/nats.js";
import { Newcomers } from "./doors/newcomers.js";
import { RevokedSubmissions } from "./doors/revoked-submissions.js";
import { answerTogether, eachSubmission, readSubmissions } from "./doors/submissions.js";
import { namesOf, type Unsettled } from "./doors/unsettled.js";
import type { HeldSubmissions } from "./held-submissions.js";
import type { OutcomeReplies } from "./outcome-replies.js";
import { type EarlierOwners, encodeKnown } from "./owners/earlier-owners.js";
import { chosenIdOf, Forwarding, NO_REPLY } from "./owners/forwarding.js";
import type { Peers } from "./owners/peers.js";
import { type Pool, stopping } from "./pool/pool.js";

/** What it works with. */
export interface HearingParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly answers: OutcomeReplies;
  readonly held: HeldSubmissions;
  readonly peers: Peers;
  /** Another manager has sent a heartbeat. */
  readonly onPeer: (heartbeat: ManagerHeartbeat) => void;
  /** For passing on submissions. */
  readonly inbox: () => Inbox;
  readonly unsettled: Unsettled;
  /** Asks the others for jobs that they had before this manager started. */
  readonly earlier: EarlierOwners;
  /** A pool that is known. */
  readonly known: (name: string) => Pool | undefined;
  /** A pool that a worker has sent a heartbeat for; undefined when there is no room for one more. */
  readonly heardOf: (name: string) => Pool | undefined;
  /** A message was handled that came at this time: what is due at about this time may be done now. */
  readonly onWake: (nowMs: number) => void;
  /** A pool to submit to. @throws PoolError */
  readonly get: (name: string) => Pool;
}

export class Hearing {
  readonly #parts: HearingParts;
  readonly #subscriptions: Subscription[] = [];
  /** Those by which it is a member of the managers' queue group. */
  readonly #memberships: Subscription[] = [];
  /** Those for this manager alone. */
  readonly #toMe: Subscription[] = [];
  readonly #ages = new Ages();
  readonly #newcomers: Newcomers;
  readonly #cancels = new HeardCancels();
  readonly #revoked = new RevokedSubmissions();
  readonly #dropped = new DroppedSubmissions();
  readonly #forwarding: Forwarding;
  /** It has left the queue group, and takes nothing new. */
  #hasLeft = false;
  /** Heartbeats that were garbage and were dropped. */
  garbage = 0;

  constructor(parts: HearingParts) {
    this.#parts = parts;
    this.#newcomers = new Newcomers(parts.bus);
    this.#forwarding = new Forwarding({
      ...parts,
      takeOwn: (heard) => this.#takeOwn(heard),
      take: (heard) => this.#takeSubmission(heard),
    });
  }

  /** Hears one pool, or all of them. Submissions come later: {@link open}, {@link join}. */
  start(pool: string | undefined): void {
    const { bus, subjects } = this.#parts;
    const { every } = subjects;
    this.#subscriptions.push(
      bus.subscribe(every.heartbeat(pool), (msg) => this.#onHeartbeat(msg)),
      bus.subscribe(every.cancel(pool), (msg) => this.#onCancel(msg)),
      bus.subscribe(every.managerHeartbeat(pool), (msg) => this.#onManagerHeartbeat(msg)),
    );
  }

  /** Hears what is said to this manager alone, of these pools or of all. */
  open(pools: readonly string[] | undefined): void {
    const { bus, subjects, manager } = this.#parts;
    for (const pool of pools ?? [undefined])
      this.#toMe.push(bus.subscribe(subjects.every.submitTo(manager, pool), (msg) => this.#onSubmitToMe(msg)));
    this.#subscriptions.push(...this.#toMe);
  }

  /** Takes its share of what is submitted to these pools, or to all. */
  join(pools: readonly string[] | undefined): void {
    const { bus, subjects } = this.#parts;
    for (const pool of pools ?? [undefined]) {
      this.#memberships.push(
        bus.subscribe(subjects.every.submit(pool), (msg) => this.#onSubmit(msg), QUEUE_MANAGERS),
        bus.subscribe(subjects.every.submissions(pool), (msg) => this.#onSubmissions(msg), QUEUE_MANAGERS),
      );
    }
    this.#subscriptions.push(...this.#memberships);
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** Whether it has submissions that are not live yet, or are on their way to another manager, which has not answered. */
  get holds(): boolean {
    const { held, unsettled, earlier } = this.#parts;
    return held.holds || unsettled.size + earlier.size + this.#newcomers.size + this.#forwarding.underWay > 0;
  }

  /** Leaves the managers' queue group; resolves when what was on its way here has come. */
  async leave(): Promise<void> {
    await Promise.all(this.#memberships.map((each) => drainSubscription(this.#parts.bus, each)));
    this.#hasLeft = true;
  }

  /** This connection has broken. */
  onDisconnect(): void {
    this.#newcomers.onDisconnect();
  }

  /** Resolves when what was on its way to this manager alone has come. */
  async stop(): Promise<void> {
    const drained = this.#toMe.map((each) => drainSubscription(this.#parts.bus, each));
    for (const each of this.#subscriptions) if (!this.#toMe.includes(each)) each.unsubscribe();
    await Promise.all(drained);
    this.#newcomers.stop();
  }

  #onHeartbeat(msg: Msg): void {
    const { bus, subjects, heardOf } = this.#parts;
    const decoded = decodeHeartbeat(rawHeartbeat(msg, subjects));
    if (!decoded.ok) {
      this.garbage += 1;
      return;
    }
    const nowMs = bus.runtime.now();
    const known = heardOf(decoded.beat.pool);
    if (known === undefined) return;
    known.lastUsedAtMs = nowMs;
    known.list.onHeartbeat(decoded.beat, nowMs);
    this.#parts.onWake(nowMs);
  }

  #onCancel(msg: Msg): void {
    let revocation: Revocation;
    try {
      revocation = decodeRevocation(headersOf(msg));
    } catch (thrown) {
      return this.#refuse(msg, toPoolError(thrown));
    }
    const act = (): boolean => this.#revoke(msg.subject, { ...revocation, ...this.#meaningOf(msg, revocation) });
    const isAnswered = this.#cancels.answers(msg, revocation, act);
    if (!isAnswered || !this.#parts.bus.mayAnswer(msg.reply)) return;
    this.#parts.bus.publish(msg.reply, undefined, { headers: encodeReplyHeaders({ kind: "result" }) });
  }

  /** What this process says itself is read later than it is said: what began here in between is not meant. */
  #meaningOf({ reply = "" }: Msg, said: Revocation): Meaning {
    const { runtime, inboxRoot } = this.#parts.bus;
    const isOwn = said.saidAgoMs === undefined && said.clockMs !== undefined && senderOf(reply) === inboxRoot;
    return isOwn ? { beforeMs: said.clockMs } : meaningOf(said, runtime.now());
  }

  /** Whether it ended something here. */
  #revoke(subject: string, revocation: Revocation & Meaning): boolean {
    const { subjects, held, unsettled, earlier, known } = this.#parts;
    const job = subjects.lastOf(subject);
    const { upToAttempt = Number.POSITIVE_INFINITY, nonce = "" } = revocation;
    held.revoke(job, nonce, upToAttempt);
    const name = subjects.poolOf(subject);
    this.#revoked.add(name, job, revocation);
    const wasNew = this.#newcomers.revoke(name, job, revocation);
    const pool = known(name);
    const wasHeld = pool !== undefined && unsettled.revoke(pool, job, revocation);
    const wasAsked = earlier.revoke(name, job, revocation);
    const wasLive = pool?.onCancel(job, revocation) === true;
    return wasNew || wasHeld || wasAsked || wasLive;
  }

  #refuse({ reply }: Msg, error: PoolError): void {
    const { bus } = this.#parts;
    if (!bus.mayAnswer(reply)) return;
    const headers = encodeReplyHeaders({ kind: "error" });
    writeErrorHeaders(headers, error);
    bus.publish(reply, errorText(error), { headers });
  }

  #onManagerHeartbeat(msg: Msg): void {
    const { bus, subjects, manager, peers, onPeer } = this.#parts;
    const decoded = decodeManagerHeartbeat(rawHeartbeat(msg, subjects));
    if (!decoded.ok) {
      this.garbage += 1;
      return;
    }
    peers.onHeartbeat(decoded.beat, bus.runtime.now());
    if (decoded.beat.manager !== manager) onPeer(decoded.beat);
  }

  /** To any manager: an id that its caller chose goes to the manager that owns it. */
  #onSubmit(msg: Msg): void {
    const { bus, manager, onWake, subjects, known } = this.#parts;
    known(subjects.poolOf(msg.subject))?.sender.flushSoon();
    const heard = { msg, headers: headersOf(msg), reply: msg.reply };
    const owner = this.#forwarding.ownerOf(heard);
    if (owner === manager) this.#takeOwn(heard);
    else void this.#forwarding.passOn(heard, owner);
    onWake(bus.runtime.now());
  }

  /** A submission whose id this manager owns, if its caller chose one: another manager may have had the job before. */
  #takeOwn(heard: Heard): void {
    const { bus, subjects, known, earlier } = this.#parts;
    const name = subjects.poolOf(heard.msg.subject);
    const id = chosenIdOf(heard.headers);
    if (id === undefined || known(name)?.knows(id) === true || !earlier.mayBeElsewhere(name))
      return this.#takeSubmission(heard);
    const held = { ...heard, cameAtMs: bus.runtime.now() };
    earlier.hold({
      pool: name,
      ...namesOf(heard.headers),
      cameAtMs: held.cameAtMs,
      take: (refusal) => this.#takeSubmission(held, refusal),
      give: (managers) => void this.#forwarding.give(held, managers),
    });
  }

  /** Several jobs of one client, none of them with an id that its caller chose: together, or one by one where they may have to wait. */
  #onSubmissions(msg: Msg): void {
    const { bus, subjects, held, onWake } = this.#parts;
    if (!bus.mayAnswer(msg.reply)) return;
    const name = subjects.poolOf(msg.subject);
    const door = this.#door(name);
    const bundle = readSubmissions(door, msg);
    if (bundle === undefined) return;
    held.sign(door.cameAtMs);
    const isMeasured = bundle.said.clockMs === undefined || this.#ages.knows(senderOf(bundle.inbox));
    const isNew = !isMeasured || this.#newcomers.has(bundle.inbox);
    const pool = held.holds || isNew ? undefined : this.#mayTakeAtOnce(name);
    pool?.sender.flushSoon();
    if (pool !== undefined) answerTogether(door, bundle, pool);
    else eachSubmission(bundle, subjects.submit(name), (heard) => this.#takeSubmission(heard));
    onWake(door.cameAtMs);
  }

  /** To this manager: another one passes a submission on, a client gives it one, or asks again for an outcome. */
  #onSubmitToMe(msg: Msg): void {
    const headers = headersOf(msg);
    if (headers?.get(HEADER.known) === "1") return this.#tellKnown(msg, headers);
    const replyTo = headers?.get(HEADER.replyTo) ?? "";
    if (replyTo === "") return this.#answerAgain({ msg, headers, reply: msg.reply });
    const { bus, subjects, known } = this.#parts;
    const pool = known(subjects.poolOf(msg.subject));
    const heard = { msg, headers, reply: replyTo === NO_REPLY ? "" : replyTo };
    const isNew = this.#hasLeft && !this.#joins(pool, heard);
    if (isNew && headers?.get(HEADER.mayRefuse) === "1") return this.#refuse(msg, stopping());
    if (bus.mayAnswer(msg.reply)) bus.publish(msg.reply);
    if (isNew) return this.#takeSubmission(heard, stopping());
    const { job, nonce, attempt } = namesOf(headers);
    // The other manager has missed that it came, and sends it again.
    const isHere = attempt === 1 && nonce !== "" && pool?.has(job, nonce) === true;
    if (!isHere) this.#takeOwn(heard);
    else if (heard.reply !== "") this.#answerAgain(heard, true);
  }

  /**
   * A question about a job that is here or was. A manager that stops answers it too.
   *
   * @param wasPassedOn it is no answer of the sender itself, and tells nothing of its clock
   */
  #answerAgain(heard: Heard, wasPassedOn = false): void {
    const { held, subjects, known } = this.#parts;
    const door = this.#door(subjects.poolOf(heard.msg.subject));
    held.sign(door.cameAtMs);
    const parts = wasPassedOn ? { ...door, newcomers: undefined } : door;
    // One that is not held is asked again.
    held.submit(heard.headers, () => answerAgain(parts, heard, known(door.pool)));
  }

  /** Another manager asks whether a job of this id is here or was. */
  #tellKnown(msg: Msg, headers: HeaderReader): void {
    const { bus, subjects, known, manager } = this.#parts;
    const id = headers.get(HEADER.jobId);
    const name = subjects.poolOf(msg.subject);
    const { earlier, unsettled } = this.#parts;
    const pool = known(name);
    const isHeld = this.#newcomers.holds(name, id) || (pool !== undefined && unsettled.holds(pool, id));
    const willTake = isHeld || earlier.willTake(name, id, headers.get(HEADER.manager));
    if (pool?.knows(id) !== true && !willTake)
      return this.#refuse(msg, new PoolError("not_found", "no job of this id is here", { field: "job" }));
    if (bus.mayAnswer(msg.reply)) bus.publish(msg.reply, undefined, { headers: encodeKnown(manager) });
  }

  /** Whether a submission is told of a job that is here, or will be. */
  #joins(pool: Pool | undefined, { msg, headers }: Heard): boolean {
    const { subjects, earlier } = this.#parts;
    const name = subjects.poolOf(msg.subject);
    const { job } = namesOf(headers);
    if (earlier.holds(name, job) || this.#newcomers.holds(name, job)) return true;
    try {
      return pool?.joins(msg.data, decodeJobHeaders(headers)) === true;
    } catch {
      return false;
    }
  }

  /** @param refusal ends it instead */
  #takeSubmission(heard: Heard, refusal?: PoolError): void {
    if (refusal === undefined)
      return this.#take(heard, (door, each, findPool) => this.#whenSettled(door, each, findPool));
    this.#take(heard, (door, each) => refuse(door, each, refusal));
  }

  #take(heard: Heard, answer: typeof answerSubmission): void {
    const { subjects, held, get } = this.#parts;
    const name = subjects.poolOf(heard.msg.subject);
    const now = this.#door(name);
    held.sign(now.cameAtMs);
    const door = heard.cameAtMs === undefined ? now : { ...now, cameAtMs: heard.cameAtMs };
    if (held.submit(heard.headers, () => answer(door, heard, () => get(name)))) return;
    answer(door, heard, () => {
      throw new PoolError("pool_full", "the manager has just woken up", { retryAfterMs: 1_000 });
    });
  }

  #door(pool: string): NatsDoor {
    const { bus, answers, manager } = this.#parts;
    const cameAtMs = bus.runtime.now();
    return {
      bus,
      answers,
      manager,
      ages: this.#ages,
      pool,
      newcomers: this.#newcomers,
      dropped: this.#dropped,
      cameAtMs,
    };
  }

  /** Answers a submission at once, or after a roll call when nobody has been heard of its pool. */
  #whenSettled(door: NatsDoor, heard: Heard, findPool: () => Pool): void {
    const { unsettled } = this.#parts;
    if (this.#revoked.has(door.pool, namesOf(heard.headers))) return refuse(door, heard, jobCanceled(true));
    const pool = this.#poolOf(heard, findPool);
    if (pool === undefined || unsettled.isSettled(pool)) return answerSubmission(door, heard, findPool);
    const take = (refusal?: PoolError): void => {
      if (refusal === undefined) return answerSubmission(door, heard, findPool);
      refuse(door, heard, refusal);
    };
    const { cameAtMs } = door;
    unsettled.hold(pool, { ...namesOf(heard.headers), cameAtMs, bytes: heard.msg.data.length, take });
  }

  /** A pool with workers; undefined for one that is refused, or of which nobody has been heard. */
  #mayTakeAtOnce(name: string): Pool | undefined {
    try {
      const pool = this.#parts.get(name);
      return pool.isKnown ? pool : undefined;
    } catch {
      // The same refusal is the answer to each submission.
      return undefined;
    }
  }

  /** The pool whose workers matter; undefined when it does not matter or the pool is refused. */
  #poolOf({ headers }: Heard, findPool: () => Pool): Pool | undefined {
    try {
      const pool = findPool();
      return pool.isKnown || headers?.get(HEADER.waitForPool) === "1" ? undefined : pool;
    } catch {
      // The same refusal is the answer to the submission.
      return undefined;
    }
  }
}
