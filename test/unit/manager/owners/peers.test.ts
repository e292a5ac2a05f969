/** Which manager owns an id, and which managers are there. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ManagerHeartbeat, ManagerHeartbeatSchema } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ownerOf } from "../../../../mesh/wire/owner.js";
import { Peers } from "../../../../services/manager/owners/peers.js";

const MANAGERS = ["m1", "m2", "m3", "m4"];
const IDS = Array.from({ length: 4_000 }, (_, i) => `job-${i}`);

describe("ownerOf", () => {
  test("the order in which managers are known does not matter", () => {
    const backwards = [...MANAGERS].reverse();
    for (const id of IDS) assert.equal(ownerOf(MANAGERS, "adder", id), ownerOf(backwards, "adder", id));
  });

  test("each manager owns about as many ids as any other", () => {
    for (const manager of MANAGERS) {
      const owned = IDS.filter((id) => ownerOf(MANAGERS, "adder", id) === manager).length;
      assert.ok(owned > 850 && owned < 1_150, `${manager} owns ${owned} of ${IDS.length}`);
    }
  });

  test("when a manager goes, only its own ids change their owner", () => {
    const left = MANAGERS.filter((manager) => manager !== "m2");
    for (const id of IDS) {
      const before = ownerOf(MANAGERS, "adder", id);
      if (before !== "m2") assert.equal(ownerOf(left, "adder", id), before);
    }
  });

  test("other programs can compute it: these are its values", () => {
    const owners = ["a", "order-7", "x".repeat(63)].map((id) => ownerOf(MANAGERS, "adder", id));
    assert.deepEqual(owners, EXPECTED_OWNERS);
    assert.equal(ownerOf([], "adder", "a"), undefined);
  });
});

/** As a Python program computes them from the rule in docs/protocol.md. */
const EXPECTED_OWNERS = ["m4", "m4", "m2"];

describe("peers", () => {
  const heartbeat = (manager: string, said: MessageInitShape<typeof ManagerHeartbeatSchema> = {}): ManagerHeartbeat =>
    create(ManagerHeartbeatSchema, {
      manager,
      pool: "adder",
      incarnation: 1n,
      seq: 1n,
      takesSubmissions: true,
      allPools: true,
      ...said,
    });
  const ownersOf = (peers: Peers, pool = "adder"): Set<string> => new Set(IDS.map((id) => peers.ownerOf(pool, id)));

  test("a manager that is alone owns everything", () => {
    assert.deepEqual(ownersOf(new Peers("m1", true, () => {})), new Set(["m1"]));
  });

  test("those that are heard share the ids, and each new one is answered with a heartbeat at once", () => {
    let answered = 0;
    const peers = new Peers("m1", true, () => {
      answered += 1;
    });
    for (const manager of ["m1", "m2", "m3", "m2"]) peers.onHeartbeat(heartbeat(manager), 0);
    assert.deepEqual(ownersOf(peers), new Set(["m1", "m2", "m3"]));
    assert.equal(answered, 2);
  });

  for (const [what, said] of [
    ["is embedded in a program", { takesSubmissions: false }],
    ["has stopped", { stopped: true }],
    ["stops", { draining: true, takesSubmissions: false }],
  ] as const) {
    test(`a manager that ${what} owns nothing`, () => {
      const peers = new Peers("m1", true, () => {});
      peers.onHeartbeat(heartbeat("m2"), 0);
      peers.onHeartbeat(heartbeat("m2", { seq: 2n, ...said }), 1);
      assert.deepEqual(ownersOf(peers), new Set(["m1"]));
      assert.deepEqual(peers.leaving("adder"), what === "stops" ? ["m2"] : [], "who is asked for its jobs");
    });
  }

  test("a manager that refuses what is new owns nothing from then on, until its next heartbeat says otherwise", () => {
    const peers = new Peers("m1", true, () => {});
    peers.onHeartbeat(heartbeat("m2"), 0);
    peers.onLeaving("m2");
    assert.deepEqual([[...ownersOf(peers)], peers.leaving("adder")], [["m1"], ["m2"]]);
    peers.onHeartbeat(heartbeat("m2", { seq: 2n }), 1);
    assert.deepEqual([ownersOf(peers), peers.leaving("adder")], [new Set(["m1", "m2"]), []]);
  });

  test("a manager that serves some pools only owns ids of those", () => {
    const peers = new Peers("m1", true, () => {});
    peers.onHeartbeat(heartbeat("m2", { allPools: false }), 0);
    assert.deepEqual(ownersOf(peers, "adder"), new Set(["m1", "m2"]));
    assert.deepEqual(ownersOf(peers, "digest"), new Set(["m1"]));
  });

  test("a manager that says that it joins owns ids before its first heartbeat, of all pools or of one", () => {
    let answered = 0;
    const peers = new Peers("m1", true, () => {
      answered += 1;
    });
    peers.onJoins("m2", undefined, 0);
    peers.onJoins("m3", "adder", 0);
    assert.deepEqual(ownersOf(peers, "adder"), new Set(["m1", "m2", "m3"]));
    assert.deepEqual(ownersOf(peers, "digest"), new Set(["m1", "m2"]));
    assert.deepEqual([answered, peers.isKnown("m2"), peers.isKnown("m4")], [2, true, false]);
    peers.onHeartbeat(heartbeat("m2", { takesSubmissions: false }), 1);
    assert.deepEqual(ownersOf(peers, "digest"), new Set(["m1"]), "its heartbeats say more");
  });

  test("a manager whose heartbeats said that it takes nothing yet owns ids once it says that it joins", () => {
    const peers = new Peers("m1", true, () => {});
    peers.onHeartbeat(heartbeat("m2", { takesSubmissions: false }), 0);
    assert.deepEqual(ownersOf(peers), new Set(["m1"]));
    peers.onJoins("m2", undefined, 1);
    assert.deepEqual(ownersOf(peers), new Set(["m1", "m2"]));
    peers.onHeartbeat(heartbeat("m3", { stopped: false, allPools: false }), 1);
    peers.onHeartbeat(heartbeat("m3", { stopped: true, allPools: false, seq: 2n }), 2);
    peers.onJoins("m3", "digest", 3);
    assert.deepEqual(ownersOf(peers, "digest"), new Set(["m1", "m2", "m3"]), "it was started again");
  });

  test("a manager that is silent for three intervals owns nothing, unless nobody is heard at all", () => {
    const peers = new Peers("m1", true, () => {});
    peers.onHeartbeat(heartbeat("m1"), 0);
    peers.onHeartbeat(heartbeat("m2"), 0);
    assert.deepEqual(ownersOf(peers), new Set(["m1", "m2"]), "this manager hears not even itself: it judges nobody");
    peers.onHeartbeat(heartbeat("m1", { seq: 5n }), 3_000);
    assert.deepEqual(ownersOf(peers), new Set(["m1"]));
    peers.onReconnect(9_000);
    assert.deepEqual(ownersOf(peers), new Set(["m1", "m2"]));
  });

  test("an embedded manager owns what comes to it only while there is no other one", () => {
    const peers = new Peers("embedded", false, () => {});
    assert.deepEqual(ownersOf(peers), new Set(["embedded"]));
    peers.onHeartbeat(heartbeat("m1"), 0);
    assert.deepEqual(ownersOf(peers), new Set(["m1"]));
  });

  test("a manager that drains owns nothing while there is another one", () => {
    const peers = new Peers("m1", true, () => {});
    peers.drain();
    assert.deepEqual(ownersOf(peers), new Set(["m1"]));
    peers.onHeartbeat(heartbeat("m2"), 0);
    assert.deepEqual(ownersOf(peers), new Set(["m2"]));
    peers.onGone("m2");
    assert.deepEqual(ownersOf(peers), new Set(["m1"]));
  });

  test("a manager that was started again under its id is answered with a heartbeat at once, as a new one is", () => {
    let answered = 0;
    const peers = new Peers("m1", true, () => {
      answered += 1;
    });
    peers.onHeartbeat(heartbeat("m2", { seq: 7n }), 0);
    for (const seq of [1n, 2n]) peers.onHeartbeat(heartbeat("m2", { incarnation: 2n, seq }), 100);
    assert.equal(answered, 2);
  });

  test("a manager that was started again with its clock set back owns ids once the earlier process is silent", () => {
    const peers = new Peers("m1", true, () => {});
    const own = (nowMs: number): void => peers.onHeartbeat(heartbeat("m1", { seq: BigInt(nowMs + 1) }), nowMs);
    peers.onHeartbeat(heartbeat("m2", { incarnation: 9n, draining: true, takesSubmissions: false }), 0);
    for (const second of [1, 2, 3]) {
      own(second * 1_000);
      peers.onHeartbeat(heartbeat("m2", { incarnation: 5n, seq: BigInt(second) }), second * 1_000);
      assert.deepEqual(ownersOf(peers), new Set(["m1"]), `second ${second}`);
    }
    peers.onHeartbeat(heartbeat("m2", { incarnation: 5n, seq: 4n }), 3_500);
    assert.deepEqual(ownersOf(peers), new Set(["m1", "m2"]));
  });

  test("of two live managers with one id each notices the other, once; a process that followed another is no twin", () => {
    let noticed = 0;
    const heard = (incarnations: readonly bigint[]): number => {
      noticed = 0;
      const peers = new Peers(
        "m1",
        true,
        () => {},
        () => {
          noticed += 1;
        },
      );
      for (const [i, incarnation] of incarnations.entries()) {
        peers.onHeartbeat(heartbeat("m1", { incarnation, seq: BigInt(i + 1) }), i * 500);
      }
      return noticed;
    };
    assert.equal(heard([1n, 1n, 2n, 1n, 1n, 2n, 2n, 2n]), 0, "the last heartbeats of the earlier process came late");
    assert.equal(heard([1n, 2n, 1n, 2n, 1n, 2n, 1n, 2n]), 1);
  });
});
