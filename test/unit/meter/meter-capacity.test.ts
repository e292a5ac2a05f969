import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Heartbeat, ManagerHeartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import { addUp, utilization } from "../../../services/meter/registry/capacity.js";
import { View } from "../../../services/meter/streams/view.js";
import { beatOf, managerBeatOf } from "../../support/meter/beats.js";

const { READY, STARTING, PAUSED, DRAINING, STOPPED } = WorkerState;

/** What happens, and when: a worker's or a manager's heartbeat, or only a look. */
type Event = readonly [atMs: number, what: Heartbeat | ManagerHeartbeat | "look"];

function viewAfter(events: readonly Event[]): { view: View; nowMs: number } {
  const view = new View({ rowChanged() {}, rowRemoved() {}, poolChanged() {} });
  for (const [atMs, what] of events) {
    if (what === "look") view.sweep(atMs);
    else if (what.$typeName === "poolmesh.v1.Heartbeat") view.observe(what, atMs);
    else view.observeManager(what, atMs);
  }
  return { view, nowMs: events.at(-1)?.[0] ?? 0 };
}

function capacityAfter(events: readonly Event[]): PoolCapacity {
  const { view, nowMs } = viewAfter(events);
  return view.capacity("adder", {}, nowMs) ?? addUp([]);
}

describe("capacity: the arithmetic", () => {
  const cases: readonly {
    readonly what: string;
    readonly events: readonly Event[];
    readonly slots: number;
    readonly busy: number;
    readonly busyAll?: number;
    readonly utilization: number;
    readonly workers: Partial<Record<"starting" | "ready" | "paused" | "draining" | "stopped" | "lost", number>>;
  }[] = [
    { what: "nobody", events: [], slots: 0, busy: 0, utilization: 1, workers: {} },
    { what: "an idle worker", events: [[0, beatOf()]], slots: 4, busy: 0, utilization: 0, workers: { ready: 1 } },
    {
      what: "two workers, half busy",
      events: [
        [0, beatOf({ busy: 1 })],
        [0, beatOf({ worker: "w2", slots: 2, busy: 2 })],
      ],
      slots: 6,
      busy: 3,
      utilization: 0.5,
      workers: { ready: 2 },
    },
    {
      what: "a worker that restarts: it is counted once, and its old busy slots are gone",
      events: [
        [0, beatOf({ seq: 9n, busy: 4 })],
        [1, beatOf({ incarnation: 2_000n, seq: 1n })],
        [2, beatOf({ seq: 10n, busy: 4 })],
      ],
      slots: 4,
      busy: 0,
      utilization: 0,
      workers: { ready: 1 },
    },
    {
      what: "a busy worker that says so no more: load clears with the next heartbeat, not only with a threshold",
      events: [
        [0, beatOf({ seq: 1n, busy: 4 })],
        [1, beatOf({ seq: 2n, busy: 0 })],
      ],
      slots: 4,
      busy: 0,
      utilization: 0,
      workers: { ready: 1 },
    },
    {
      what: "a busy worker that dies: its slots are neither capacity nor load",
      events: [
        [0, beatOf({ busy: 4 })],
        [0, beatOf({ worker: "w2", heartbeatIntervalMs: 10_000 })],
        [3_000, "look"],
      ],
      slots: 4,
      busy: 0,
      utilization: 0,
      workers: { ready: 1, lost: 1 },
    },
    {
      what: "an idle worker that falls silent: it is no idle capacity",
      events: [
        [0, beatOf()],
        [3_000, "look"],
      ],
      slots: 0,
      busy: 0,
      utilization: 1,
      workers: { lost: 1 },
    },
    {
      what: "workers that do not take jobs: only READY slots are capacity",
      events: [
        [0, beatOf({ worker: "a", state: STARTING })],
        [0, beatOf({ worker: "b", state: PAUSED, busy: 1 })],
        [0, beatOf({ worker: "c", state: DRAINING, busy: 2 })],
        [0, beatOf({ worker: "d", state: STOPPED })],
        [0, beatOf({ worker: "e", busy: 1 })],
      ],
      slots: 4,
      busy: 1,
      busyAll: 4,
      utilization: 0.25,
      workers: { starting: 1, paused: 1, draining: 1, stopped: 1, ready: 1 },
    },
    {
      what: "managers that report figures of their own: no word of theirs overwrites a worker's",
      events: [
        [0, beatOf({ busy: 4 })],
        [1, managerBeatOf({ inFlight: 1 })],
        [2, managerBeatOf({ manager: "m2", inFlight: 2 })],
      ],
      slots: 4,
      busy: 4,
      utilization: 1,
      workers: { ready: 1 },
    },
    {
      what: "a heartbeat that comes late and out of order: the newest one counts, not the last that came",
      events: [
        [0, beatOf({ seq: 3n, busy: 4 })],
        [1, beatOf({ seq: 2n, busy: 1 })],
        [2, beatOf({ seq: 3n, busy: 4 })],
      ],
      slots: 4,
      busy: 4,
      utilization: 1,
      workers: { ready: 1 },
    },
    {
      what: "a worker that a resize left busy over its slots: utilization stays within 1",
      events: [
        [0, beatOf({ seq: 1n, slots: 4, busy: 4 })],
        [1, beatOf({ seq: 2n, slots: 1, busy: 4 })],
        [1, beatOf({ worker: "w2", slots: 1 })],
      ],
      slots: 2,
      busy: 1,
      busyAll: 4,
      utilization: 0.5,
      workers: { ready: 2 },
    },
    {
      what: "a worker that comes back from a pause: it is capacity again",
      events: [
        [0, beatOf({ seq: 1n, state: PAUSED })],
        [1, beatOf({ seq: 2n, state: READY })],
      ],
      slots: 4,
      busy: 0,
      utilization: 0,
      workers: { ready: 1 },
    },
    {
      what: "a LOST worker that comes back: it is capacity again",
      events: [
        [0, beatOf({ seq: 1n })],
        [3_000, "look"],
        [3_500, beatOf({ seq: 2n, busy: 1 })],
      ],
      slots: 4,
      busy: 1,
      utilization: 0.25,
      workers: { ready: 1 },
    },
  ];
  for (const { what, events, slots, busy, busyAll = busy, utilization: ratio, workers } of cases) {
    it(`counts ${what}`, () => {
      const capacity = capacityAfter(events);
      assert.equal(capacity.slots, slots);
      assert.equal(capacity.busy, busy);
      assert.equal(capacity.busyAll, busyAll);
      assert.equal(capacity.utilization, ratio);
      const { $typeName: _, ...counts } = {
        starting: 0,
        ready: 0,
        paused: 0,
        draining: 0,
        stopped: 0,
        lost: 0,
        ...capacity.workers,
      };
      assert.deepEqual(counts, { starting: 0, ready: 0, paused: 0, draining: 0, stopped: 0, lost: 0, ...workers });
    });
  }

  it("never leaves 0 to 1, whatever the counts", () => {
    for (const [busy, slots] of [
      [0, 0],
      [5, 0],
      [5, 4],
      [-1, 4],
      [Number.NaN, 4],
      [1, Number.NaN],
      [1, -4],
    ] as const) {
      assert.equal(utilization(busy, slots), 1);
    }
    assert.equal(utilization(0, 4), 0);
    assert.equal(utilization(4, 4), 1);
  });

  it("adds pools up, and their utilization from the sums", () => {
    const { view } = viewAfter([
      [0, beatOf({ pool: "a", slots: 1, busy: 1 })],
      [0, beatOf({ pool: "b", slots: 3 })],
      [0, managerBeatOf({ pool: "b", parked: 2, oldestWaitMs: 80 })],
    ]);
    const total = addUp(view.capacities({ pool: "", labels: {} }, 0));
    assert.deepEqual([total.pool, total.slots, total.busy, total.utilization], ["", 4, 1, 0.25]);
    assert.deepEqual([total.parked, total.oldestWaitMs, total.managers], [2, 80, 1]);
  });

  it("never lets a pool's job counters fall while it is known", () => {
    let last = 0n;
    for (const events of growing([
      [0, beatOf({ seq: 1n, jobsDone: 10n })],
      [0, beatOf({ worker: "w2", jobsDone: 5n })],
      [1, beatOf({ incarnation: 2_000n, seq: 1n, jobsDone: 0n })],
      [2, beatOf({ worker: "w2", seq: 2n, jobsDone: 6n, state: STOPPED })],
      [2_000, beatOf({ incarnation: 2_000n, seq: 2n, jobsDone: 1n })],
      [2_900, "look"],
      [62_000, beatOf({ incarnation: 2_000n, seq: 3n, jobsDone: 1n })],
      [62_100, "look"],
    ])) {
      const { jobsDone } = capacityAfter(events);
      assert.ok(jobsDone >= last, `${jobsDone} after ${last}`);
      last = jobsDone;
    }
    assert.equal(last, 17n);
  });

  it("counts only workers that bear all the labels asked for", () => {
    const { view } = viewAfter([
      [0, beatOf({ worker: "a", labels: { zone: "x", gpu: "y" } })],
      [0, beatOf({ worker: "b", labels: { zone: "x" } })],
      [0, beatOf({ worker: "c" })],
    ]);
    assert.equal(view.capacity("adder", { zone: "x" }, 0)?.slots, 8);
    assert.equal(view.capacity("adder", { zone: "x", gpu: "y" }, 0)?.slots, 4);
    assert.equal(view.capacity("adder", { toString: "y" }, 0)?.slots, 0);
  });
});

describe("capacity: what managers report", () => {
  it("counts a manager of several pools once among all pools, while it serves any of them", () => {
    const { view } = viewAfter([]);
    const all = { pool: "", labels: {} };
    const managers = () => view.total(all, view.capacities(all, 0)).managers;
    for (const pool of ["a", "b", "c"]) view.observeManager(managerBeatOf({ pool }), 0);
    assert.equal(managers(), 1);
    view.observeManager(managerBeatOf({ pool: "a", manager: "m2" }), 0);
    assert.equal(managers(), 2);
    assert.equal(view.total({ pool: "a", labels: {} }, view.capacities({ pool: "a", labels: {} }, 0)).managers, 2);
    for (const pool of ["a", "b"]) view.observeManager(managerBeatOf({ pool, seq: 2n, stopped: true }), 0);
    assert.equal(managers(), 2);
    view.observeManager(managerBeatOf({ pool: "c", seq: 2n, stopped: true }), 0);
    assert.equal(managers(), 1);
  });

  it("adds managers up, and takes the oldest wait", () => {
    const capacity = capacityAfter([
      [0, managerBeatOf({ parked: 3, oldestWaitMs: 500, inFlight: 2 })],
      [0, managerBeatOf({ manager: "m2", parked: 4, oldestWaitMs: 900, inFlight: 1 })],
    ]);
    assert.deepEqual([capacity.managers, capacity.parked, capacity.parkedLimit], [2, 7, 200]);
    assert.deepEqual([capacity.oldestWaitMs, capacity.inFlight], [900, 3]);
  });

  it("knows a pool that has parked jobs and no worker yet: utilization 1", () => {
    const capacity = capacityAfter([[0, managerBeatOf({ parked: 3 })]]);
    assert.deepEqual([capacity.pool, capacity.slots, capacity.utilization, capacity.parked], ["adder", 0, 1, 3]);
  });

  it("counts a manager that restarts once", () => {
    const capacity = capacityAfter([
      [0, managerBeatOf({ seq: 9n, parked: 3 })],
      [1, managerBeatOf({ incarnation: 2_000n, seq: 1n, parked: 1 })],
      [2, managerBeatOf({ seq: 10n, parked: 3 })],
    ]);
    assert.deepEqual([capacity.managers, capacity.parked], [1, 1]);
  });

  it("forgets a manager that stops, and one that is silent for three intervals", () => {
    const stopped: Event[] = [
      [0, beatOf({ heartbeatIntervalMs: 60_000 })],
      [0, managerBeatOf({ parked: 3 })],
      [1, managerBeatOf({ seq: 2n, stopped: true })],
    ];
    assert.deepEqual([capacityAfter(stopped).managers, capacityAfter(stopped).parked], [0, 0]);
    const silent: Event[] = [
      [0, beatOf({ heartbeatIntervalMs: 60_000 })],
      [0, managerBeatOf({ parked: 3 })],
      [3_000, "look"],
    ];
    assert.deepEqual([capacityAfter(silent).managers, capacityAfter(silent).parked], [0, 0]);
  });
});

describe("capacity: a worker that takes nothing", () => {
  function marks(events: readonly Event[]): boolean {
    const { view } = viewAfter(events);
    return [...view.workers({ pool: "adder", labels: {} })].some((row) => row.unhealthy);
  }
  const starving: readonly Event[] = [
    [0, beatOf({ seq: 1n, heartbeatIntervalMs: 60_000 })],
    [0, managerBeatOf({ seq: 1n, parked: 3, heartbeatIntervalMs: 60_000 })],
    [5_001, "look"],
  ];

  it("is unhealthy after five seconds in which jobs are parked and it has a free slot", () => {
    assert.equal(marks([...starving.slice(0, 2), [5_000, "look"]]), false);
    assert.equal(marks(starving), true);
  });

  it("is healthy again as soon as it takes a job, is full, or nothing is parked any more", () => {
    const took = beatOf({ seq: 2n, acceptedTotal: 1n, heartbeatIntervalMs: 60_000 });
    const full = beatOf({ seq: 2n, busy: 4, heartbeatIntervalMs: 60_000 });
    const calm = managerBeatOf({ seq: 2n, parked: 0, heartbeatIntervalMs: 60_000 });
    for (const cure of [took, full, calm]) assert.equal(marks([...starving, [5_100, cure], [5_200, "look"]]), false);
  });

  it("is healthy when it is idle because nothing is offered", () => {
    assert.equal(
      marks([
        [0, beatOf({ heartbeatIntervalMs: 60_000 })],
        [30_000, "look"],
      ]),
      false,
    );
  });

  it("is unhealthy when it goes on refusing offers with free slots", () => {
    const beats = [0, 2_000, 4_000, 6_000].map(
      (at, i): Event => [at, beatOf({ seq: BigInt(i + 1), refusedTotal: BigInt(i), heartbeatIntervalMs: 60_000 })],
    );
    assert.equal(marks([...beats, [7_001, "look"]]), true);
    assert.equal(marks([...beats.slice(0, 3), [7_001, "look"]]), false);
  });
});

function* growing(events: readonly Event[]): Iterable<readonly Event[]> {
  for (let count = 1; count <= events.length; count += 1) yield events.slice(0, count);
}
