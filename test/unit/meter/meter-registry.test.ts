import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { Registry, type RegistryEvents, type RegistryOptions } from "../../../services/meter/registry/registry.js";
import { beatOf, shown } from "../../support/meter/beats.js";
import { seededRandom } from "../../support/random.js";

const QUIET: RegistryEvents = { rowChanged() {}, rowRemoved() {}, jobsEnded() {} };

function registryOf(options: RegistryOptions = {}, events: Partial<RegistryEvents> = {}): Registry {
  return new Registry({ ...QUIET, ...events }, options);
}

describe("registry: one writer per process", () => {
  it("takes a heartbeat only when its number rises", () => {
    const registry = registryOf();
    assert.equal(registry.observe(beatOf({ seq: 5n, busy: 1 }), 0), "new");
    assert.equal(registry.observe(beatOf({ seq: 5n, busy: 2 }), 1), "old_seq");
    assert.equal(registry.observe(beatOf({ seq: 4n, busy: 3 }), 2), "old_seq");
    assert.equal(registry.observe(beatOf({ seq: 6n, busy: 1 }), 3), "unchanged");
    assert.equal(registry.observe(beatOf({ seq: 7n, busy: 4 }), 4), "changed");
    assert.deepEqual(shown(registry), ["adder/w1/1000 READY #7 4/4 0"]);
  });

  it("does not take a repeated heartbeat for a sign of life", () => {
    const registry = registryOf();
    registry.observe(beatOf({ seq: 5n }), 0);
    registry.observe(beatOf({ seq: 5n }), 2_900);
    registry.sweep(3_000);
    assert.deepEqual(shown(registry), ["adder/w1/1000 LOST #5 0/4 0"]);
  });

  it("lets a newer incarnation take the place of an older one at once", () => {
    const registry = registryOf();
    registry.observe(beatOf({ seq: 90n, busy: 4, jobsDone: 7n }), 0);
    assert.equal(registry.observe(beatOf({ incarnation: 2_000n, seq: 1n }), 10), "new");
    assert.deepEqual(shown(registry), ["adder/w1/2000 READY #1 0/4 0"]);
    assert.equal(registry.observe(beatOf({ seq: 91n }), 11), "old_incarnation");
    assert.deepEqual(shown(registry), ["adder/w1/2000 READY #1 0/4 0"]);
  });

  it("keeps jobs of an older incarnation in the pool's count", () => {
    const registry = registryOf();
    registry.observe(beatOf({ jobsDone: 7n, jobsFailed: 2n }), 0);
    registry.observe(beatOf({ incarnation: 2_000n }), 10);
    assert.equal(registry.pools.get("adder")?.goneDone, 7);
    assert.equal(registry.pools.get("adder")?.goneFailed, 2);
  });

  it("counts jobs once, never negatively, and none that a process ended before it was first heard", () => {
    const ended: number[] = [];
    const registry = registryOf({}, { jobsEnded: (_, count) => ended.push(count) });
    registry.observe(beatOf({ seq: 1n, jobsDone: 100n }), 0);
    registry.observe(beatOf({ seq: 2n, jobsDone: 103n, jobsFailed: 1n }), 1);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 1n, jobsDone: 10_000_000n }), 2);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 2n, jobsDone: 10_000_002n }), 3);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 3n, jobsDone: 1n }), 4);
    assert.deepEqual(ended, [4, 2]);
  });
});

describe("registry: any order and any repetition of heartbeats show the same", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`holds for seed ${seed}`, () => {
      const random = seededRandom(seed);
      const beats = ["w1", "w2", "w3"].flatMap((worker) =>
        [1_000n, 2_000n, 3_000n].flatMap((incarnation) =>
          [1n, 2n, 3n, 4n].map((seq) => {
            const stopped = seq === 4n && random() < 0.5;
            const state = stopped ? WorkerState.STOPPED : WorkerState.READY;
            return beatOf({ worker, incarnation, seq, state, busy: Math.floor(random() * 5), jobsDone: seq * 10n });
          }),
        ),
      );
      const views = Array.from({ length: 50 }, () => {
        const registry = registryOf();
        const sent = [...beats, ...beats.filter(() => random() < 0.5)];
        for (let i = sent.length - 1; i > 0; i -= 1) {
          const j = Math.floor(random() * (i + 1));
          [sent[i], sent[j]] = [sent[j]!, sent[i]!];
        }
        for (const [at, beat] of sent.entries()) registry.observe(beat, at);
        return shown(registry);
      });
      assert.equal(views[0]?.length, 3);
      for (const view of views) assert.deepEqual(view, views[0]);
    });
  }
});

describe("registry: LOST is a judgement of silence", () => {
  const cases = [
    { heartbeatIntervalMs: 1_000, lostAfterMs: 3_000 },
    { heartbeatIntervalMs: 5_000, lostAfterMs: 15_000 },
    { heartbeatIntervalMs: 50, lostAfterMs: 300 },
    { heartbeatIntervalMs: 50_000, lostAfterMs: 150_000 },
    { heartbeatIntervalMs: 4_000_000_000, lostAfterMs: 180_000 },
    { heartbeatIntervalMs: 0, lostAfterMs: 3_000 },
  ];
  for (const { heartbeatIntervalMs, lostAfterMs } of cases) {
    it(`loses a worker that beats every ${heartbeatIntervalMs} ms after ${lostAfterMs} ms`, () => {
      const registry = registryOf();
      registry.observe(beatOf({ heartbeatIntervalMs }), 0);
      registry.sweep(lostAfterMs - 1);
      assert.match(shown(registry)[0] ?? "", /READY/);
      registry.sweep(lostAfterMs);
      assert.match(shown(registry)[0] ?? "", /LOST/);
    });
  }

  it("brings a LOST worker back with its next heartbeat", () => {
    const registry = registryOf();
    registry.observe(beatOf({ seq: 1n }), 0);
    registry.sweep(5_000);
    assert.equal(registry.observe(beatOf({ seq: 2n }), 5_001), "changed");
    assert.deepEqual(shown(registry), ["adder/w1/1000 READY #2 0/4 0"]);
  });

  it("names workers that are quiet before they are LOST", () => {
    const registry = registryOf();
    registry.observe(beatOf(), 0);
    assert.deepEqual(registry.sweep(1_200), []);
    assert.equal(registry.sweep(1_400).length, 1);
  });

  it("counts silence from the end of a time in which the reader was deaf", () => {
    const registry = registryOf();
    registry.observe(beatOf(), 0);
    registry.forgiveSilence(60_000);
    registry.sweep(62_999);
    assert.match(shown(registry)[0] ?? "", /READY/);
    registry.sweep(63_000);
    assert.match(shown(registry)[0] ?? "", /LOST/);
  });

  it("loses at once a worker whose control subject nobody listens to", () => {
    const registry = registryOf();
    registry.observe(beatOf(), 0);
    registry.markLost([...registry.rows()][0]!, 100);
    assert.match(shown(registry)[0] ?? "", /LOST/);
  });

  it("forgets STOPPED rows after a minute and LOST ones after ten", () => {
    const registry = registryOf();
    registry.observe(beatOf({ worker: "stopped", state: WorkerState.STOPPED }), 0);
    registry.observe(beatOf({ worker: "lost" }), 0);
    registry.sweep(3_000);
    registry.sweep(59_999);
    assert.equal(registry.size, 2);
    registry.sweep(60_000);
    assert.equal(registry.size, 1);
    registry.sweep(602_999);
    assert.equal(registry.size, 1);
    registry.sweep(603_000);
    assert.equal(registry.size, 0);
    assert.equal(registry.pools.size, 0);
  });
});

describe("registry: two live processes under one id", () => {
  function conflicted(): Registry {
    const registry = registryOf();
    registry.observe(beatOf({ incarnation: 1_000n, seq: 50n }), 0);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 1n }), 100);
    registry.observe(beatOf({ incarnation: 1_000n, seq: 51n }), 1_000);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 2n }), 1_100);
    registry.observe(beatOf({ incarnation: 1_000n, seq: 52n }), 2_000);
    return registry;
  }

  it("are kept apart, and the conflict is shown", () => {
    const registry = conflicted();
    assert.deepEqual(shown(registry), [
      "adder/w1/1000 READY #52 0/4 0 conflict",
      "adder/w1/2000 READY #2 0/4 0 conflict",
    ]);
    assert.equal(registry.pools.get("adder")?.conflicts, 1);
  });

  it("are not seen in an echo: repeated or delayed heartbeats prove nothing", () => {
    const registry = registryOf();
    registry.observe(beatOf({ incarnation: 1_000n, seq: 50n }), 0);
    registry.observe(beatOf({ incarnation: 2_000n, seq: 1n }), 100);
    for (const at of [200, 1_200, 2_200]) registry.observe(beatOf({ incarnation: 1_000n, seq: 50n }), at);
    for (const seq of [47n, 48n, 49n]) registry.observe(beatOf({ incarnation: 1_000n, seq }), 3_000 + Number(seq));
    assert.deepEqual(shown(registry), ["adder/w1/2000 READY #1 0/4 0"]);
  });

  it("are no conflict any more when one of them stops", () => {
    const registry = conflicted();
    registry.observe(beatOf({ incarnation: 1_000n, seq: 53n, state: WorkerState.STOPPED }), 2_100);
    assert.deepEqual(shown(registry), ["adder/w1/1000 STOPPED #53 0/4 0", "adder/w1/2000 READY #2 0/4 0"]);
    assert.equal(registry.pools.get("adder")?.conflicts, 0);
  });

  it("are no conflict any more when one of them is LOST", () => {
    const registry = conflicted();
    registry.observe(beatOf({ incarnation: 1_000n, seq: 53n }), 4_000);
    registry.sweep(4_200);
    assert.deepEqual(shown(registry), ["adder/w1/1000 READY #53 0/4 0", "adder/w1/2000 LOST #2 0/4 0"]);
  });

  it("are both replaced by a third that is newer", () => {
    const registry = conflicted();
    registry.observe(beatOf({ incarnation: 3_000n, seq: 1n }), 2_100);
    assert.deepEqual(shown(registry), ["adder/w1/3000 READY #1 0/4 0"]);
    assert.equal(registry.pools.get("adder")?.conflicts, 0);
  });

  it("let a worker come back whose clock went back", () => {
    const registry = registryOf();
    registry.observe(beatOf({ incarnation: 2_000n, seq: 9n, state: WorkerState.STOPPED }), 0);
    registry.observe(beatOf({ incarnation: 1_000n, seq: 1n }), 100);
    registry.observe(beatOf({ incarnation: 1_000n, seq: 2n }), 1_100);
    assert.deepEqual(shown(registry), ["adder/w1/1000 READY #2 0/4 0", "adder/w1/2000 STOPPED #9 0/4 0"]);
  });
});

describe("registry: bounds", () => {
  it("refuses workers over its bound, and lets one that is gone make room", () => {
    const registry = registryOf({ maxWorkers: 2 });
    registry.observe(beatOf({ worker: "w1" }), 0);
    registry.observe(beatOf({ worker: "w2" }), 0);
    assert.equal(registry.observe(beatOf({ worker: "w3" }), 0), "full");
    assert.equal(registry.observe(beatOf({ worker: "w1", incarnation: 2_000n }), 0), "new");
    registry.observe(beatOf({ worker: "w2", seq: 2n, state: WorkerState.STOPPED }), 1);
    assert.equal(registry.observe(beatOf({ worker: "w3" }), 2), "new");
    assert.equal(registry.size, 2);
  });

  it("refuses pools over its bound", () => {
    const registry = registryOf({ maxPools: 1 });
    registry.observe(beatOf({ pool: "a" }), 0);
    assert.equal(registry.observe(beatOf({ pool: "b" }), 0), "full");
    assert.deepEqual([...registry.pools.keys()], ["a"]);
  });

  it("makes no entry for a worker that is busy over its slots", () => {
    const registry = registryOf();
    assert.equal(registry.observe(beatOf({ slots: 2, busy: 3 }), 0), "counts");
    assert.equal(registry.size, 0);
  });

  it("believes a worker that a resize left busy over its slots", () => {
    const registry = registryOf();
    registry.observe(beatOf({ seq: 1n, slots: 4, busy: 3 }), 0);
    assert.equal(registry.observe(beatOf({ seq: 2n, slots: 1, busy: 3 }), 1), "changed");
    assert.equal(registry.observe(beatOf({ seq: 3n, slots: 1, busy: 4 }), 2), "counts");
    assert.deepEqual(shown(registry), ["adder/w1/1000 READY #2 3/1 0"]);
  });
});
