/**
 * The durable lane of one pool at one manager: pulls stored jobs, gives them to
 * the pool's dispatcher as it gives any job, and settles them.
 *
 * Decided here: how a delivery begins, waits and is given back. Not decided here: what
 * becomes of a job (decide.ts), how its end is settled (settling.ts), how much is
 * pulled (share.ts), who takes and frees slots (the dispatcher, for all lanes).
 */
import type { Msg } from "nats";
import { type DeliveryFacts, giveBack, IN_PROGRESS } from "../../../mesh/durable/ack-subject.js";
import type { EnqueueParts } from "../../../mesh/durable/enqueue.js";
import type { HeldJob } from "../../../mesh/durable/held-job.js";
import { durablePayloadLimit } from "../../../mesh/durable/job.js";
import { sequenceOf } from "../../../mesh/durable/outcome.js";
import type { Stored } from "../../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import { NUMBERS_RISE_FOR_MS, type Outcome } from "../../../mesh/job/job.js";
import type { Logger } from "../../../mesh/process/log.js";
import type { Priority } from "../../../mesh/wire/headers.js";
import { hashOf } from "../../../mesh/wire/owner.js";
import type { Pool } from "../pool/pool.js";
import type { AfterEndParts } from "./after/after-end.js";
import { type JobTerms, readDelivery } from "./after/read-job.js";
import {
  type Act,
  claimed,
  type Known,
  LOOK_AGAIN_MS,
  mustLook,
  onDelivery,
  onOutcome,
  PAUSED_LOOK_MS,
  whilePaused,
} from "./decide.js";
import { Ends } from "./ends.js";
import { type Delivery, GivenBack, Held } from "./held.js";
import { LaneTotals } from "./lane-totals.js";
import { Leftovers } from "./leftovers/leftovers.js";
import { LEAVE_LOOK_MS, type PoolLimits } from "./limits/pool-limits.js";
import { endParked } from "./pause/end-parked.js";
import { PauseWatch } from "./pause/pause-watch.js";
import { Pulls } from "./pulls.js";
import { Settling } from "./settling.js";
import { Doubts } from "./takeover/doubts.js";
import { letLostGo } from "./takeover/let-lost-go.js";
import { locateKnown } from "./takeover/locate-known.js";
import { findHeld, heldList } from "./told/held-view.js";

/** What it works with. */
export interface PoolLaneParts extends EnqueueParts, Pick<AfterEndParts, "batches"> {
  readonly pool: Pool;
  /** This manager's id. */
  readonly manager: string;
  /** Which jobs may run; read once. */
  readonly limits: PoolLimits;
  /** How long a job may be held without a sign of life, in milliseconds. */
  readonly ackWaitMs: number;
  readonly terms: JobTerms;
  /** The stream or a consumer is not there any more. */
  readonly onMissing: () => void;
  readonly isHeldElsewhere: (delivery: Delivery) => boolean;
  readonly log: Logger;
}

export class PoolLane {
  readonly totals = new LaneTotals();
  readonly limits: PoolLimits;
  readonly pulls: Pulls;
  readonly #parts: PoolLaneParts;
  readonly #held: Held;
  readonly #ends: Ends;
  readonly #settling: Settling;
  readonly #leftovers: Leftovers;
  readonly #pause: PauseWatch;
  readonly #givenBack = new GivenBack();
  readonly #doubts: Doubts;
  /** What tells the numbers of its attempts from those that another manager gives at the same time, milliseconds. */
  readonly #shiftMs: number;
  #draining = false;

  constructor(parts: PoolLaneParts) {
    const { pool, bus, names, ackWaitMs } = parts;
    const stream = names.jobsStream(pool.name);
    const letGo = (delivery: Delivery): void => this.#letGo(delivery);
    this.#parts = parts;
    this.limits = parts.limits;
    this.#held = new Held(ackWaitMs);
    this.#ends = new Ends({
      ...parts,
      pool: pool.name,
      holdsLease: (delivery) => this.#held.hasLease(delivery, bus.runtime.now()),
    });
    this.#settling = new Settling({
      ...parts,
      ...{ ends: this.#ends, held: this.#held, totals: this.totals, letGo },
      beginEnd: (delivery) => this.#beginEnd(delivery),
      end: (delivery) => this.#end(delivery),
      giveBack: (delivery, delayMs) => this.#giveBack(delivery, delayMs),
      say: (delivery, word) => this.#doubts.say(delivery, word),
    });
    const onRenewed = (): void => this.#doubts.begin();
    this.#leftovers = new Leftovers({ ...parts, pool: pool.name, onRenewed });
    this.#pause = new PauseWatch({ ...parts, pool: pool.name, onPause: () => this.#holdParked() });
    this.pulls = new Pulls({
      bus,
      pool,
      stream,
      held: this.#held,
      mayPull: () => this.#doubts.isSettled,
      onDelivery: (msg, facts, level) => this.#onDelivery(msg, facts, level),
      onMissing: () => {
        this.#doubts.begin();
        parts.onMissing();
      },
      onBroken: () => this.#doubts.begin(),
    });
    this.#shiftMs = hashOf(parts.manager) % NUMBERS_RISE_FOR_MS;
    this.#doubts = new Doubts({
      ...parts,
      stream,
      held: () => this.#held.all(),
      onLost: (lost) => letLostGo({ ...parts, letGo }, lost),
      onSettled: () => this.pulls.tick(bus.runtime.now()),
    });
  }

  /** Jobs that this manager holds: parked, running, about to be stored, or about to be given back. */
  get held(): number {
    return this.#held.size + this.#doubts.unsaid;
  }

  /** Those among them that wait for leave by a limit. */
  get limited(): number {
    return this.#held.limited;
  }

  /** Jobs that wait after a failure which was seen here. */
  retrying(nowMs: number): number {
    return this.#givenBack.countWaiting(nowMs);
  }

  /** What this manager holds, for the others. */
  get heldList(): ReturnType<typeof heldList> {
    return heldList(this.#held);
  }

  /** A job that this manager holds, or has given back to be delivered later; undefined when it knows nothing of it. */
  find(id: string): HeldJob | undefined {
    const { pool, bus } = this.#parts;
    return findHeld(pool, this.#held, this.#givenBack, id, bus.runtime.now());
  }

  /** Called every 100 milliseconds. */
  tick(nowMs: number): void {
    for (const delivery of this.#held.toSign(nowMs)) this.#doubts.say(delivery, IN_PROGRESS);
    if (this.pulls.areOpen && this.#parts.bus.connected) this.#leftovers.tick(nowMs);
    this.#doubts.tick(nowMs);
    this.#pause.tick(nowMs);
    this.limits.tick(nowMs);
    this.pulls.tick(nowMs);
  }

  /** The connection is back: the broker has forgotten the open pulls, and must hear of what is held. */
  onReconnect(): void {
    const nowMs = this.#parts.bus.runtime.now();
    this.#leftovers.onReconnect(nowMs);
    this.#doubts.begin();
    this.#pause.lookSoon();
    this.limits.onReconnect();
    this.pulls.forget();
    this.pulls.tick(nowMs);
  }

  /** The connection is gone, and the open pulls with it. */
  onDisconnect(): void {
    this.pulls.forget();
  }

  /** The stream, which was not there, is there again. */
  resume(): void {
    this.pulls.resume();
  }

  /** Takes nothing new and gives back what has not been sent to a worker. */
  drain(): void {
    this.#draining = true;
    this.pulls.stop();
    for (const delivery of [...this.#held.all()]) if (delivery.isWaiting) this.#giveBack(delivery, 0);
    endParked(this.#parts.pool, [...this.#held.all()], new PoolError("draining", "the manager stops"));
  }

  /** Resolves when the open pulls are over. */
  finish(): Promise<void> {
    this.#pause.stop();
    this.limits.stop();
    this.#ends.notices.flush();
    return this.pulls.finish();
  }

  /** Jobs of a paused level that no worker has begun wait here: given back, each pause would count as a delivery. */
  #holdParked(): void {
    const error = new PoolError("no_workers", "the lane is paused");
    const paused = [...this.#held.all()].filter(({ level }) => this.#pause.has(level));
    endParked(this.#parts.pool, paused, error);
  }

  #onDelivery(msg: Msg, facts: DeliveryFacts, level: Priority): void {
    const { bus, names, terms } = this.#parts;
    const nowMs = bus.runtime.now();
    this.#doubts.onDelivery(facts);
    const known = this.#held.of(facts);
    // It was not heard of in time, and came again to the same manager: it goes on as it is.
    if (known !== undefined) return known.again(facts, msg.reply ?? "", nowMs);
    if (this.#draining) return void bus.publish(msg.reply ?? "", giveBack(0));
    this.totals.delivered += 1;
    const delivery = readDelivery(names, msg, facts, { level, nowMs, terms });
    delivery.mayBeRepeat = this.#doubts.mayBeRepeat(delivery);
    this.#held.add(delivery);
    delivery.wasEndedHere = this.#givenBack.take(delivery);
    if (mustLook(delivery)) this.#guard(delivery, this.#look(delivery));
    else this.#begin(delivery, {});
  }

  async #look(delivery: Delivery): Promise<void> {
    const known = await this.#ends.known(delivery);
    if (known !== undefined) this.#begin(delivery, known);
    else this.#lookLater(delivery, LOOK_AGAIN_MS);
  }

  /** It is held meanwhile: given back, each look would count as a delivery, and so many would make it a dead letter. */
  #lookLater(delivery: Delivery, delayMs: number): void {
    const { runtime } = this.#parts.bus;
    if (!this.#held.has(delivery)) return;
    if (this.#draining) return this.#giveBack(delivery, 0);
    delivery.isWaiting = true;
    const goOn = (): void => {
      if (!this.#held.has(delivery)) return;
      if (!this.#held.hasLease(delivery, runtime.now())) return this.#letGo(delivery);
      if (this.#pause.has(delivery.level)) return void runtime.after(PAUSED_LOOK_MS, goOn, "background");
      delivery.isWaiting = false;
      this.#guard(delivery, this.#look(delivery));
    };
    runtime.after(delayMs, goOn, "background");
  }

  #begin(delivery: Delivery, known: Known): void {
    if (!this.#held.has(delivery)) return;
    if (this.#draining) return this.#guard(delivery, this.#giveBackUnclaimed(delivery, 0));
    this.#do(delivery, onDelivery(delivery, known, this.#parts.bus.runtime.wallNow()), known.outcome as Stored);
  }

  #onEnd(delivery: Delivery, outcome: Outcome): void {
    if (!this.#held.has(delivery)) return;
    const { bus } = this.#parts;
    delivery.endedAt(outcome.ok ? outcome.result.attempt : outcome.attempt);
    const act = onOutcome(delivery, outcome, {
      holdsLease: this.#held.hasLease(delivery, bus.runtime.now()),
      chance: bus.runtime.random(),
      wallNowMs: bus.runtime.wallNow(),
      resultLimitBytes: durablePayloadLimit(bus, delivery.job instanceof PoolError ? [] : delivery.job.then),
    });
    if (act.do === "store" || act.do === "bury") this.#beginEnd(delivery);
    this.#do(delivery, act);
  }

  #do(delivery: Delivery, decided: Act, stored?: Stored): void {
    const act = this.#pause.has(delivery.level) ? whilePaused(decided) : decided;
    if ((act.do === "run" || act.do === "claim") && !this.#mayRun(delivery, act)) return;
    switch (act.do) {
      case "run":
        return this.#run(delivery);
      case "join":
        return this.#guard(delivery, this.#join(delivery, act));
      case "claim":
        return this.#guard(delivery, this.#claim(delivery, act.over));
      case "settle":
        return this.#settling.settle(delivery, stored);
      case "store":
        return this.#guard(delivery, this.#settling.store(delivery, act.outcome));
      case "bury":
        return this.#guard(delivery, this.#settling.bury(delivery, act.error));
      case "giveBack":
        return this.#guard(delivery, this.#giveBackUnclaimed(delivery, act.delayMs));
      case "wait":
        return this.#guard(delivery, this.#wait(delivery, act.delayMs));
      case "letGo":
        return this.#letGo(delivery);
    }
  }

  /** What is thrown while one delivery is handled ends nothing else: the broker delivers it again. */
  #guard(delivery: Delivery, work: Promise<void>): void {
    work.catch((thrown: unknown) => {
      const { log, pool } = this.#parts;
      log.error({ pool: pool.name, job: delivery.id, why: toPoolError(thrown).message }, "a stored job was let go");
      this.#letGo(delivery);
    });
  }

  /** Whether its limits let it run now; else it waits here until they do. */
  #mayRun(delivery: Delivery, act: Act): boolean {
    const { bus } = this.#parts;
    const sinceMs = bus.runtime.now();
    const goOn = (): void => {
      this.#held.setLimited(delivery, false);
      if (bus.runtime.now() - sinceMs < LEAVE_LOOK_MS) return this.#do(delivery, act);
      delivery.wasEndedHere = true;
      this.#guard(delivery, this.#look(delivery));
    };
    if (this.limits.admit(delivery, goOn)) return true;
    this.#held.setLimited(delivery, true);
    this.pulls.limited();
    return false;
  }

  /** Begins a delivery again later. It may be canceled meanwhile, so what is stored of it is looked up then. */
  async #wait(delivery: Delivery, delayMs: number): Promise<void> {
    if (!(await this.#ends.unclaim(delivery))) return this.#letGo(delivery);
    delivery.wasEndedHere = true;
    this.#lookLater(delivery, delayMs);
  }

  /** A worker may have had it from a manager that is gone. */
  async #join(delivery: Delivery, act: Act & { do: "join" }): Promise<void> {
    const { bus } = this.#parts;
    const worker = await locateKnown(this.#parts, delivery, () => this.#held.has(delivery) && !this.#draining);
    if (!this.#held.has(delivery)) return;
    if (this.#draining) return void this.#giveBackUnclaimed(delivery, 0);
    // While nobody can be asked, nobody knows that no worker has it.
    if (worker === undefined && act.claim > 0 && !bus.connected) return this.#letGo(delivery);
    if (worker === undefined) return this.#do(delivery, act.else);
    delivery.claim = act.claim;
    this.limits.join(delivery);
    this.totals.joined += 1;
    this.#run(delivery, worker);
  }

  /** @param joinAt the worker that has it already */
  #run(delivery: Delivery, joinAt?: string): void {
    const { pool } = this.#parts;
    try {
      const headers = delivery.toHeaders(this.#parts.bus.runtime.wallNow(), this.#shiftMs, joinAt);
      pool.submitStored(delivery.payload, headers, { onEnd: (outcome: Outcome) => this.#onEnd(delivery, outcome) });
    } catch (thrown) {
      // What a worker has is not given back, for whatever reason this manager cannot ask for it.
      const mayRun = joinAt !== undefined && delivery.claim > 0;
      const error = mayRun ? claimed() : toPoolError(thrown);
      this.#onEnd(delivery, { ok: false, id: delivery.id, error, worker: "", attempt: 0 });
    }
  }

  async #claim(delivery: Delivery, over: number): Promise<void> {
    const end = await this.#ends.claim(delivery, over);
    if (!this.#held.has(delivery)) return;
    if (end.kind === "stored" && this.#draining) return void this.#giveBackUnclaimed(delivery, 0);
    if (end.kind === "stored") return this.#run(delivery);
    if (end.kind === "lost") return this.#letGo(delivery);
    if (end.kind === "ended") return this.#settling.settle(delivery, end.stored);
    const { sequence, headers } = end.stored;
    this.#begin(delivery, { claim: { sequence, job: sequenceOf(headers) } });
  }

  async #giveBackUnclaimed(delivery: Delivery, delayMs: number): Promise<void> {
    return (await this.#ends.unclaim(delivery)) ? this.#giveBack(delivery, delayMs) : this.#letGo(delivery);
  }

  #giveBack(delivery: Delivery, delayMs: number): void {
    if (!this.#end(delivery)) return;
    this.totals.givenBack += 1;
    if (delayMs > 0) this.#givenBack.add(delivery, this.#parts.bus.runtime.now() + delayMs);
    this.#doubts.say(delivery, giveBack(delayMs));
  }

  /** Somebody else may have it: the broker decides when it is delivered again. */
  #letGo(delivery: Delivery): void {
    if (this.#end(delivery, false)) this.totals.letGo += 1;
  }

  /** It is over. Until its end is stored it is held, without a slot and without leave by a limit. */
  #beginEnd(delivery: Delivery): void {
    if (delivery.isEnding) return;
    this.#held.beginEnd(delivery);
    this.limits.end(delivery, true);
    this.pulls.ended();
  }

  #end(delivery: Delivery, isOver = true): boolean {
    if (!this.#held.remove(delivery)) return false;
    if (!delivery.isEnding) this.limits.end(delivery, isOver);
    if (!delivery.isEnding) this.pulls.ended();
    return true;
  }
}
