/**
 * Follows what happens to jobs.
 *
 * Decided here: managers tell it only while somebody asks for it, so they are asked
 * again before they forget. All followers of one pool share a subscription. One that
 * reads too slowly gets the newest events, and is told how many it did not get;
 * nothing grows behind it.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { type JobEvent, type JobFilter, JobQuerySchema } from "../../gen/poolmesh/v1/job_pb.js";
import { decodeEvent, isMeantEvent, type ToldEvent } from "../job/job-events.js";
import type { Bus } from "../link/bus.js";
import type { Timer } from "../link/runtime.js";
import type { Subscription } from "../link/subscription.js";
import type { Subjects } from "../wire/subjects.js";

/** For how long managers tell what happens after they were asked, and how often they are asked again, in milliseconds. */
export const WATCH_MS = 10_000;
const ASK_AGAIN_MS = 3_000;
/** Events that wait for their reader. */
const MAX_WAITING = 1_000;
/** Managers whose sampling is remembered. */
const MAX_MANAGERS = 1_000;

/** What is followed. */
export interface FollowRules {
  /** Its pool is the only one that is followed. */
  readonly filter: JobFilter | undefined;
  readonly onlyClient?: string | undefined;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Some events, in the order in which they came. */
export interface EventBatch {
  readonly events: readonly JobEvent[];
  /** Events before these that are not told. */
  readonly dropped: number;
  /** One job of so many is told. */
  readonly oneIn: number;
}

/** All that is followed over one connection. */
export class JobFeeds {
  readonly #bus: Bus;
  readonly #subjects: Subjects;
  readonly #served: readonly string[] | undefined;
  readonly #feeds = new Map<string | undefined, Feed>();

  /** @param served the pools that may be heard; undefined for all */
  constructor(bus: Bus, subjects: Subjects, served: readonly string[] | undefined) {
    this.#bus = bus;
    this.#subjects = subjects;
    this.#served = served;
  }

  /** The events as they come, until the signal fires. They are followed from the call on. @throws PoolError `bus_unavailable` */
  follow(rules: FollowRules): AsyncGenerator<EventBatch> {
    this.#bus.requireConnected();
    const follower = new Follower(rules);
    const pool = rules.filter?.pool ?? "";
    const pools: readonly (string | undefined)[] = pool === "" ? (this.#served ?? [undefined]) : [pool];
    for (const each of pools) this.#feedOf(each).followers.add(follower);
    const leave = (): void => {
      for (const each of pools) this.#leave(each, follower);
    };
    // Also when nobody ever reads.
    rules.signal.addEventListener("abort", leave, { once: true });
    if (rules.signal.aborted) leave();
    return follower.batches();
  }

  #feedOf(pool: string | undefined): Feed {
    let feed = this.#feeds.get(pool);
    if (feed === undefined) {
      feed = new Feed(this.#bus, this.#subjects, pool);
      this.#feeds.set(pool, feed);
    }
    return feed;
  }

  #leave(pool: string | undefined, follower: Follower): void {
    const feed = this.#feeds.get(pool);
    if (feed?.followers.delete(follower) !== true || feed.followers.size > 0) return;
    feed.stop();
    this.#feeds.delete(pool);
  }
}

/** The events of one pool, or of all. */
class Feed {
  readonly followers = new Set<Follower>();
  readonly #subscription: Subscription;
  readonly #timer: Timer;
  readonly #bus: Bus;

  constructor(bus: Bus, subjects: Subjects, pool: string | undefined) {
    this.#bus = bus;
    const watch = { query: { case: "watch", value: { pool: pool ?? "" } } } as const;
    const payload = toBinary(JobQuerySchema, create(JobQuerySchema, watch));
    const ask = (): void => void bus.publish(subjects.jobs(pool), payload);
    this.#subscription = bus.subscribe(subjects.every.event(pool), (msg) => {
      const told = decodeEvent(msg.data);
      if (told !== undefined) for (const follower of this.followers) follower.hear(told);
    });
    ask();
    this.#timer = bus.runtime.every(ASK_AGAIN_MS, ask);
  }

  stop(): void {
    this.#bus.runtime.cancel(this.#timer);
    this.#subscription.unsubscribe();
  }
}

/** Who reads events, and what waits for it. */
class Follower {
  readonly #rules: FollowRules;
  #waiting: JobEvent[] = [];
  #dropped = 0;
  /** By manager, where it is more than 1. */
  readonly #oneIn = new Map<string, number>();
  #wake: () => void = () => {};

  constructor(rules: FollowRules) {
    this.#rules = rules;
  }

  hear({ event, oneIn, dropped }: ToldEvent): void {
    const { filter, onlyClient } = this.#rules;
    if (oneIn === 1) this.#oneIn.delete(event.manager);
    else if (this.#oneIn.size < MAX_MANAGERS) this.#oneIn.set(event.manager, oneIn);
    this.#dropped += dropped;
    if (!isMeantEvent(event, filter, onlyClient)) return;
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    this.#wake();
  }

  async *batches(): AsyncGenerator<EventBatch> {
    const { signal } = this.#rules;
    const onAbort = (): void => this.#wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        if (this.#waiting.length > 0) yield this.#take();
        else await this.#more();
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Resolves at the next event, or at the end. */
  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(): EventBatch {
    const [events, dropped] = [this.#waiting, this.#dropped];
    this.#waiting = [];
    this.#dropped = 0;
    return { events, dropped, oneIn: Math.max(1, ...this.#oneIn.values()) };
  }
}
