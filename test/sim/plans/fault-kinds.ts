/** Every kind of fault that a plan may have, how often, and how it is drawn. */
import type { FaultKind, JobPlan, Step } from "../plan.js";
import type { Draft } from "./draft.js";

/** A kind of fault; each can be left out of a run by its name. */
export interface FaultDraw {
  readonly kind: string;
  readonly weight: number;
  /** Puts one fault of this kind into a draft. */
  add(draft: Draft): void;
}

const HOUR_MS = 3_600_000;
/** Whoever stands still no longer than this makes nothing late, milliseconds. */
const BRIEF_MS = 200;

/** All kinds. */
export const faultKinds: readonly FaultDraw[] = [
  fault("worker-pause", 4, (draft) => draft.step(pause(draft, draft.worker(), 20, 8_000))),
  fault("manager-pause", 1, (draft) => draft.step(pause(draft, draft.manager(), 20, BRIEF_MS))),
  fault("long-manager-pause", 3, (draft) => draft.step(pause(draft, draft.manager(), BRIEF_MS, 8_000))),
  fault("caller-pause", 1, (draft) => draft.step(pause(draft, draft.caller(), 20, 5_000))),
  fault("worker-block", 2, (draft) => draft.step(block(draft, draft.worker(), 20, 3_000))),
  fault("manager-block", 1, (draft) => draft.step(block(draft, draft.manager(), 20, BRIEF_MS))),
  fault("long-manager-block", 1, (draft) => draft.step(block(draft, draft.manager(), BRIEF_MS, 2_000))),
  fault("blocking-handler", 2, (draft) => {
    for (const job of draft.someJobs()) draft.change(job, { blockMs: draft.draw.size(10, 2_000) });
  }),
  fault("worker-kill", 3, (draft) => draft.step({ do: "kill", process: draft.worker(), ...restart(draft) })),
  fault("manager-kill", 3, (draft) => draft.step({ do: "kill", process: draft.manager(), ...restart(draft) })),
  fault("caller-kill", 1, (draft) => draft.step({ do: "kill", process: draft.caller(), ...restart(draft) })),
  fault("worker-term", 3, (draft) => draft.step({ do: "term", process: draft.worker(), ...restart(draft) })),
  fault("manager-term", 2, (draft) => draft.step({ do: "term", process: draft.manager(), ...restart(draft) })),
  fault("worker-drain", 2, (draft) => draft.step({ do: "drain", process: draft.worker(), ...restart(draft) })),
  fault("worker-pauses-taking", 2, (draft) =>
    draft.step({ do: "pause-taking", process: draft.worker(), forMs: draft.draw.size(50, 3_000) }),
  ),
  fault("clock-a-little-off", 1, (draft) => draft.clock(draft.anybody(), draft.draw.int(-900, 900))),
  fault("worker-clock", 2, (draft) => draft.clock(draft.worker(), clockOffset(draft))),
  fault("manager-clock", 2, (draft) => draft.clock(draft.manager(), clockOffset(draft))),
  fault("clock-step", 1, (draft) =>
    draft.step({ do: "set-clock", process: draft.anybody(), byMs: clockOffset(draft) }),
  ),
  fault("clock-drift", 1, (draft) => draft.drift(draft.anybody(), draft.draw.int(-500, 500))),
  fault("short-hold", 2, (draft) => draft.step(hold(draft, 100))),
  fault("long-hold", 3, (draft) => draft.step(hold(draft, 10_000))),
  fault("short-delay", 2, (draft) => draft.step(delay(draft, draft.draw.int(1, 50)))),
  fault("long-delay", 2, (draft) => draft.step(delay(draft, draft.draw.int(51, 600)))),
  fault("slow-link", 2, (draft) => {
    for (const job of draft.someJobs()) draft.change(job, { padBytes: draft.draw.size(1_000, 200_000) });
    draft.step({
      do: "slow",
      process: draft.anybody(),
      forMs: draft.draw.size(500, 5_000),
      bytesPerMs: draft.draw.size(20, 2_000),
    });
  }),
  fault("link-cut", 2, (draft) =>
    draft.step({ do: "cut", process: draft.anybody(), forMs: draft.draw.size(100, 6_000) }),
  ),
  fault("link-down", 3, (draft) =>
    draft.step({ do: "down", process: draft.anybody(), forMs: draft.draw.size(50, 5_000) }),
  ),
  fault("link-reset", 3, (draft) => draft.step({ do: "reset", process: draft.anybody() })),
  fault("broker-kill", 3, (draft) =>
    draft.step({ do: "kill-broker", broker: draft.broker(), forMs: draft.draw.size(100, 6_000) }),
  ),
  fault("broker-pause", 1, (draft) => draft.step(pauseBroker(draft, 20, BRIEF_MS))),
  fault("long-broker-pause", 2, (draft) => draft.step(pauseBroker(draft, BRIEF_MS, 6_000))),
  fault("lame-duck-of-three", 2, (draft) => {
    if (draft.brokers === 3) draft.step(lameDuck(draft));
  }),
  fault("lame-duck-of-one", 2, (draft) => {
    if (draft.brokers === 1) draft.step(lameDuck(draft));
  }),
  fault("id-reused", 2, (draft) => reuseId(draft, false)),
  fault("id-twice", 2, (draft) => reuseId(draft, true)),
  fault("foreign-worker", 1, (draft) => draft.changeWorkers("first", { kind: "foreign" })),
  fault("bare-workers", 1, (draft) => draft.changeWorkers("all", { kind: "bare" })),
  fault("stream", 1, (draft) =>
    draft.step({
      do: "stream",
      subjects: [draft.draw.one(["pool.>", "pool.*.submit", "pool.*.job"])],
      forMs: draft.draw.size(500, 4_000),
    }),
  ),
  fault("unknown-reply-kind", 1, (draft) => draft.step({ do: "stranger", says: "unknown-reply-kind", forMs: 2_000 })),
  fault("garbage", 1, (draft) =>
    draft.step({
      do: "stranger",
      says: draft.draw.one(["garbage-heartbeats", "garbage-control", "malformed-attempts"]),
      forMs: draft.draw.size(200, 9_000),
    }),
  ),
];

function fault(kind: string, weight: number, add: (draft: Draft) => void): FaultDraw {
  return { kind, weight, add };
}

function restart({ draw }: Draft): { restartAfterMs?: number } {
  return draw.chance(0.6) ? { restartAfterMs: draw.size(50, 4_000) } : {};
}

type Fault<D extends FaultKind> = Omit<Extract<Step, { do: D }>, "atMs">;

function pause({ draw }: Draft, process: string, minMs: number, maxMs: number): Fault<"pause"> {
  return { do: "pause", process, forMs: draw.size(minMs, maxMs) };
}

function block({ draw }: Draft, process: string, minMs: number, maxMs: number): Fault<"block"> {
  return { do: "block", process, forMs: draw.size(minMs, maxMs) };
}

function pauseBroker(draft: Draft, minMs: number, maxMs: number): Fault<"pause-broker"> {
  return { do: "pause-broker", broker: draft.broker(), forMs: draft.draw.size(minMs, maxMs) };
}

function lameDuck(draft: Draft): Fault<"lame-duck"> {
  return { do: "lame-duck", broker: draft.broker(), restartAfterMs: draft.draw.int(1_500, 5_000) };
}

function clockOffset({ draw }: Draft): number {
  return (draw.chance(0.5) ? 1 : -1) * draw.size(1_000, 12 * HOUR_MS);
}

function hold(draft: Draft, maxMs: number): Fault<"hold"> {
  const direction = draft.draw.one(["toBroker", "fromBroker", undefined] as const);
  const forMs = draft.draw.size(10, maxMs);
  return { do: "hold", process: draft.anybody(), forMs, ...(direction === undefined ? {} : { direction }) };
}

function delay(draft: Draft, ms: number): Fault<"delay"> {
  return { do: "delay", process: draft.anybody(), ms, forMs: draft.draw.size(500, 5_000) };
}

/** An id that a caller chose is used a second time: with the same payload at once, or with another one later. */
function reuseId(draft: Draft, same: boolean): void {
  const { draw } = draft;
  const first = draft.anyJob();
  // An id is used twice by one kind only: after another payload, the first one again is a new job, as it should be.
  if (first === undefined || first.job.id !== undefined) return;
  const id = `chosen-${first.job.number}`;
  draft.change(first, { id });
  const afterMs = same ? draw.int(0, 150) : draw.size(10, 6_000);
  const job: JobPlan = same ? { ...first.job, id } : { ...first.job, id, number: draft.nextNumber() };
  draft.submit(first.atMs + afterMs, draw.chance(0.5) ? first.caller : draft.caller(), job);
}
