/** A simulated process: its clocks, and the order of timers and sockets when it goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EPOCH_MS, SimulatedProcess } from "../../../testing/sim/sim-process.js";
import { SimWorld } from "../world-clock.js";
import { inMacrotask } from "./microtasks.js";

interface Scene {
  readonly world: SimWorld;
  readonly process: SimulatedProcess;
  readonly seen: string[];
  /** Notes what happens, with its true time. */
  note(what: string): () => void;
}

/** Plays a scene in a macrotask, and returns what was noted. */
function play(
  scene: (parts: Scene) => void,
  options: { clockOffsetMs?: number; driftPpm?: number } = {},
): Promise<string[]> {
  return inMacrotask(() => {
    const world = new SimWorld({ seed: 1 });
    const process = new SimulatedProcess(world, { name: "p#1", seed: 1, ...options });
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(`${what}@${Math.round(world.now())}`);
    scene({ world, process, seen, note });
    return seen;
  });
}

test("process - after SIGCONT the timers that are due fire before the sockets are read", async () => {
  const seen = await play(({ world, process, note }) => {
    process.runtime.after(50, note("timer 50"));
    process.runtime.after(20, note("timer 20"));
    process.runtime.after(200, note("timer 200"));
    world.at(10, () => process.stop());
    world.at(15, () => process.receive(note("message")));
    world.at(100, () => process.goOn());
    world.run(300);
  });
  assert.deepEqual(seen, ["timer 20@100", "timer 50@100", "message@100", "timer 200@200"]);
});

test("process - an interval that was missed many times fires once, and goes on from there", async () => {
  const seen = await play(({ world, process, note }) => {
    process.runtime.every(10, note("tick"));
    world.at(15, () => process.stop());
    world.at(95, () => process.goOn());
    world.run(120);
  });
  assert.deepEqual(seen, ["tick@10", "tick@95", "tick@105", "tick@115"]);
});

test("process - a blocked event loop finishes its turn, then fires timers, then reads", async () => {
  const seen = await play(({ world, process, note }) => {
    process.runtime.after(30, note("timer"));
    world.at(10, () => {
      process.receive(() => {
        process.runtime.endOfTurn(note("end of turn"));
        process.block(100);
        note("handler")();
      });
      process.receive(note("message"));
    });
    world.run(200);
  });
  assert.deepEqual(seen, ["handler@10", "end of turn@110", "timer@110", "message@110"]);
});

test("process - what a synchronous part sees of the clock has gone on by as much as it took", async () => {
  const seen = await play(({ world, process, seen: noted }) => {
    world.at(10, () => {
      const before = process.runtime.now();
      process.block(40);
      noted.push(String(Math.round(process.runtime.now() - before)));
      process.block(5);
      noted.push(String(Math.round(process.runtime.now() - before)));
    });
    world.run(20);
  });
  assert.deepEqual(seen, ["40", "45"]);
});

test("process - a stop within a blocked part adds to it", async () => {
  const seen = await play(({ world, process, note }) => {
    world.at(10, () => {
      process.block(50);
      process.receive(note("message"));
    });
    world.at(20, () => process.stop());
    world.at(120, () => process.goOn());
    world.run(300);
  });
  assert.deepEqual(seen, ["message@160"]);
});

test("process - while one message is handled after a stop, another stop holds the rest", async () => {
  const seen = await play(({ world, process, note }) => {
    process.stop();
    for (const name of ["a", "b"]) {
      process.receive(() => {
        note(name)();
        process.stop();
      });
    }
    world.at(10, () => process.goOn());
    world.at(20, () => process.goOn());
    world.run(30);
  });
  assert.deepEqual(seen, ["a@10", "b@20"]);
});

test("process - after kill -9 nothing of it runs", async () => {
  const seen = await play(({ world, process, note }) => {
    process.runtime.after(20, note("timer"));
    process.runtime.every(5, note("tick"));
    process.runtime.endOfTurn(note("end of turn"));
    process.kill();
    process.receive(note("message"));
    process.goOn();
    world.run(100);
    assert.equal(process.alive, false);
  });
  assert.deepEqual(seen, []);
});

test("process - a clock that drifts makes timers early or late in true time", async () => {
  const seen = await play(
    ({ world, process, note }) => {
      process.runtime.after(1_000, note("timer"));
      world.run(2_000);
      assert.equal(process.runtime.wallNow(), EPOCH_MS + 2_200 + 5_000);
    },
    { driftPpm: 100_000, clockOffsetMs: 5_000 },
  );
  assert.deepEqual(seen, ["timer@909"]);
});

test("process - setting the wall clock moves no timer and not the monotonic clock", async () => {
  const seen = await play(({ world, process, note }) => {
    process.runtime.after(100, note("timer"));
    const before = process.runtime.now();
    process.stepWallClock(-3_600_000);
    assert.equal(process.runtime.now(), before);
    assert.equal(process.runtime.wallNow(), EPOCH_MS - 3_600_000);
    world.run(200);
  });
  assert.deepEqual(seen, ["timer@100"]);
});

test("process - a canceled timer does not fire, not even one that was due while it stood still", async () => {
  const seen = await play(({ world, process, note }) => {
    const timer = process.runtime.after(20, note("timer"));
    process.runtime.after(10, () => process.runtime.cancel(timer));
    world.at(5, () => process.stop());
    world.at(50, () => process.goOn());
    world.run(100);
  });
  assert.deepEqual(seen, []);
});
