/** Which manager owns an id: pure parts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MsgHdrs } from "nats";
import { type ManagerHeartbeat, ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Answer, Inbox, Question } from "../../../mesh/link/inbox.js";
import { GONE_AFTER_MS } from "../../../mesh/link/presence.js";
import { systemRuntime } from "../../../mesh/link/runtime.js";
import { encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { type HeaderReader, type Reply, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { ASKS_FOR_MS, EarlierOwners, encodeKnown } from "../../../services/manager/owners/earlier-owners.js";
import { passOn } from "../../../services/manager/owners/pass-on.js";
import { Peers } from "../../../services/manager/owners/peers.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

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

describe("passing on", () => {
  /** Passes a submission on, whose owner answers each time with the next of `answers`, and with the last one from then on. */
  function passes(answers: readonly Answer["kind"][], { headers, farewellAfterMs }: PassedOn = {}) {
    const runtime = new ManualRuntime();
    const asked: Question[] = [];
    const ask = async (question: Question): Promise<Answer> => {
      asked.push(question);
      return { kind: answers[Math.min(asked.length, answers.length) - 1] } as Answer;
    };
    const heard = { msg: { subject: "pool.p.submit", data: new Uint8Array(1) }, headers, reply: "_INBOX.a.b" };
    const stillOwns = (): boolean => runtime.now() < (farewellAfterMs ?? Number.POSITIVE_INFINITY);
    const parts = { inbox: { ask }, runtime, subject: "pool.p.submit.m2", stillOwns };
    return { runtime, asked, isThere: passOn(parts, heard) };
  }

  test("a submission with half of a line break in a header is passed on without that header", async () => {
    const said: [string, string[]][] = [
      ["X-Odd", ["a\rb"]],
      [HEADER.jobId, ["mine"]],
    ];
    const headers = Object.assign(said, { get: () => "", code: 0 }) as unknown as HeaderReader;
    const { asked, isThere } = passes(["reply"], { headers });
    assert.equal(await isThere, true);
    assert.deepEqual(
      [...(asked[0]?.headers ?? [])],
      [
        [HEADER.jobId, ["mine"]],
        [HEADER.replyTo, ["_INBOX.a.b"]],
      ],
    );
  });

  test("an owner that reconnects gets the submission: nobody else takes it meanwhile", async () => {
    const { runtime, asked, isThere } = passes(["absent", "absent", "reply"]);
    await runtime.advance(200);
    assert.equal(await isThere, true);
    assert.equal(asked.length, 3);
  });

  test("an owner at whose subject nobody listens for 600 ms is gone, and one that says farewell is at once", async () => {
    const killed = passes(["absent"]);
    await killed.runtime.advance(GONE_AFTER_MS);
    assert.equal(await killed.isThere, false);
    assert.equal(killed.runtime.now(), GONE_AFTER_MS);
    const left = passes(["absent"], { farewellAfterMs: 50 });
    await left.runtime.advance(100);
    assert.equal(await left.isThere, false);
  });

  test("only the owner's word counts: a stranger's text on the same reply subject is none", async () => {
    const { asked } = passes(["reply"]);
    const isWord = (text: string): boolean | undefined => asked[0]?.isAnswer?.({ data: Buffer.from(text) } as Reply);
    assert.deepEqual([isWord(""), isWord("hello")], [true, false]);
  });
});

interface PassedOn {
  readonly headers?: HeaderReader;
  /** When the owner says that it leaves, in milliseconds; default never. */
  readonly farewellAfterMs?: number;
}

describe("a manager that joins", () => {
  const reply = (headers: MsgHdrs): Answer => ({ kind: "reply", msg: { headers, data: new Uint8Array(0) } as Reply });
  const ANY = { upToAttempt: undefined, nonce: undefined };
  const said = { pool: "p", job: "mine", nonce: "n", attempt: 1 };

  function joins(answers: Record<string, Answer>, atMs = 0) {
    const asked: string[] = [];
    const ask = async ({ subject, headers }: Question): Promise<Answer> => {
      asked.push(`${subject} ${headers?.get(HEADER.known)} ${headers?.get(HEADER.jobId)}`);
      return answers[subject.slice(subject.lastIndexOf(".") + 1)] ?? { kind: "absent" };
    };
    let nowMs = 0;
    const runtime = { ...systemRuntime, now: () => nowMs };
    const earlier = new EarlierOwners({
      bus: { runtime },
      subjects: new Subjects(),
      peers: { otherOwners: () => Object.keys(answers) },
      inbox: () => ({ ask }) as unknown as Inbox,
    });
    nowMs = atMs;
    const ends: string[] = [];
    const hold = (): void =>
      earlier.hold({
        ...said,
        take: (refusal) => ends.push(refusal === undefined ? "taken" : refusal.reason),
        give: (manager) => ends.push(`given to ${manager}`),
      });
    return { earlier, asked, ends, hold };
  }

  test("asks all others, and gives the submission to the one that has its job", async () => {
    const { asked, ends, hold } = joins({
      m1: reply(encodeReplyHeaders({ kind: "error" })),
      m2: reply(encodeKnown("m2")),
    });
    hold();
    await turn();
    assert.deepEqual(ends, ["given to m2"]);
    assert.deepEqual(asked, ["pool.p.submit.m1 1 mine", "pool.p.submit.m2 1 mine"]);
  });

  test("takes a job that nobody has: who is gone, silent or says anything else does not count", async () => {
    const odd = wireHeaders();
    odd.append(HEADER.reply, "what?");
    const bare = reply(wireHeaders());
    const { ends, hold } = joins({ m1: { kind: "absent" }, m2: { kind: "silent" }, m3: reply(odd), m4: bare });
    hold();
    await turn();
    assert.deepEqual(ends, ["taken"]);
  });

  test("ends a submission that is canceled meanwhile, once", async () => {
    const { earlier, ends, hold } = joins({ m1: reply(encodeKnown("m1")) });
    hold();
    assert.equal(earlier.revoke("p", "another", ANY), false);
    assert.equal(earlier.revoke("p", "mine", ANY), true);
    await turn();
    assert.deepEqual(ends, ["canceled"]);
  });

  test("asks for ten minutes, and only while there are others", () => {
    assert.equal(joins({ m1: { kind: "absent" } }, ASKS_FOR_MS - 1).earlier.mayBeElsewhere("p"), true);
    assert.equal(joins({ m1: { kind: "absent" } }, ASKS_FOR_MS).earlier.mayBeElsewhere("p"), false);
    assert.equal(joins({}).earlier.mayBeElsewhere("p"), false);
  });
});

/** What is settled now has been heard after this. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
