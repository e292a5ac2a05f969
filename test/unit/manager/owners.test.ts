/** Which manager owns an id: pure parts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import { type ManagerHeartbeat, ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Inbox, Question } from "../../../mesh/link/inbox.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { passOn } from "../../../services/manager/owners/pass-on.js";
import { Peers } from "../../../services/manager/owners/peers.js";

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
  ] as const) {
    test(`a manager that ${what} owns nothing`, () => {
      const peers = new Peers("m1", true, () => {});
      peers.onHeartbeat(heartbeat("m2"), 0);
      peers.onHeartbeat(heartbeat("m2", { seq: 2n, ...said }), 1);
      assert.deepEqual(ownersOf(peers), new Set(["m1"]));
    });
  }

  test("a manager that serves some pools only owns ids of those", () => {
    const peers = new Peers("m1", true, () => {});
    peers.onHeartbeat(heartbeat("m2", { allPools: false }), 0);
    assert.deepEqual(ownersOf(peers, "adder"), new Set(["m1", "m2"]));
    assert.deepEqual(ownersOf(peers, "digest"), new Set(["m1"]));
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
});

test("owners - a submission with half of a line break in a header is passed on without that header", async () => {
  const said: [string, string[]][] = [
    ["X-Odd", ["a\rb"]],
    [HEADER.jobId, ["mine"]],
  ];
  const headers = Object.assign(said, { get: () => "", code: 0 });
  const asked: Question[] = [];
  const inbox = {
    ask: async (question: Question) => {
      asked.push(question);
      return { kind: "absent" } as const;
    },
  };
  const msg = { headers, reply: "_INBOX.a.b", data: new Uint8Array(1) };
  const isThere = await passOn(inbox as unknown as Inbox, "pool.p.submit.m2", msg as unknown as Msg);
  assert.equal(isThere, false);
  assert.deepEqual(
    [...(asked[0]?.headers ?? [])],
    [
      [HEADER.jobId, ["mine"]],
      [HEADER.replyTo, ["_INBOX.a.b"]],
    ],
  );
});
