/** What a manager hears, and says, before it takes its first submission. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Msg, MsgHdrs } from "nats";
import { ManagerHeartbeatSchema } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import { JobQueryAnswerSchema } from "../../../../gen/poolmesh/v1/job_pb.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Inbox, InboxEntry } from "../../../../mesh/link/inbox.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import { Subjects } from "../../../../mesh/wire/subjects.js";
import { type Reply, wireHeaders } from "../../../../mesh/wire/wire-headers.js";
import { Joining } from "../../../../services/manager/owners/joining.js";
import { Peers } from "../../../../services/manager/owners/peers.js";
import { ManualRuntime } from "../../../support/core/manual-runtime.js";

const NOBODY = { headers: { code: 503, status: "503" }, data: new Uint8Array(0) } as unknown as Reply;

function headersOf(said: Record<string, string>): MsgHdrs {
  const headers = wireHeaders();
  for (const [name, value] of Object.entries(said)) headers.append(name, value);
  return headers;
}

/** A manager m1 that joins. What it says and does is in `done`, in its order. */
function makeJoining(pools?: readonly string[]) {
  const runtime = new ManualRuntime();
  const done: string[] = [];
  const entries = new Map<string, InboxEntry>();
  const published: { readonly subject: string; readonly data: Uint8Array; readonly headers: MsgHdrs }[] = [];
  const publish: Bus["publish"] = (subject, data = new Uint8Array(0), options) => {
    const headers = options?.headers as MsgHdrs;
    published.push({ subject, data, headers });
    done.push(`${subject} ${headers.get(HEADER.joins)}`);
    return true;
  };
  const flush = async (): Promise<boolean> => {
    done.push("round trip");
    return true;
  };
  const inbox = {
    open: (entry: InboxEntry) => {
      entries.set(`t${entries.size}`, entry);
      return `t${entries.size - 1}`;
    },
    subject: (token: string) => token,
    close: (token: string) => done.push(`closes ${token}`),
  };
  const peers = new Peers("m1", true, () => {});
  const joining = new Joining({
    bus: { runtime, publish, flush, mayAnswer: (reply?: string) => reply !== undefined } as unknown as Bus,
    subjects: new Subjects(),
    manager: "m1",
    pools,
    peers,
    inbox: () => inbox as unknown as Inbox,
    beat: () => done.push(joining.hasJoined ? "beats" : "beats before it has joined"),
    onHeard: () => done.push("answers"),
    onJoined: () => done.push("takes"),
  });
  const answer = (manager: string, joins?: string): void => {
    const data = toBinary(JobQueryAnswerSchema, create(JobQueryAnswerSchema, { manager }));
    const headers = headersOf(joins === undefined ? {} : { [HEADER.joins]: joins });
    [...entries.values()].at(-1)?.onReply({ headers, data } as unknown as Reply);
  };
  const absent = (): void => [...entries.values()].at(-1)?.onReply(NOBODY);
  const hear = (from: string, word: string, pool = "_"): boolean => {
    const headers = headersOf({ [HEADER.joins]: word, [HEADER.manager]: from });
    return joining.hears({ subject: `pool.${pool}.jobs`, headers, reply: "r", data: new Uint8Array(0) } as Msg);
  };
  const beatOf = (manager: string): void =>
    peers.onHeartbeat(create(ManagerHeartbeatSchema, { manager, pool: "p", seq: 1n, takesSubmissions: true }), 0);
  return {
    joining,
    runtime,
    done,
    published,
    peers,
    answer,
    absent,
    hear,
    beatOf,
    takes: () => done.includes("takes"),
  };
}

describe("a manager that joins", () => {
  test("takes submissions without a wait when the broker says that nobody else is there: it says so, and a round trip later it takes", async () => {
    const { joining, runtime, done, absent } = makeJoining();
    const started = joining.start();
    absent();
    await started;
    assert.deepEqual(done, [
      "pool._.jobs 0",
      "round trip",
      "closes t0",
      "answers",
      "beats",
      "pool._.jobs 1",
      "round trip",
      "takes",
    ]);
    assert.equal(runtime.now(), 0);
  });

  test("asks for each of the pools that it serves, and is alone when nobody is there for any of them", async () => {
    const alone = makeJoining(["a", "b"]);
    const started = alone.joining.start();
    alone.absent();
    alone.absent();
    await started;
    assert.deepEqual(alone.done.slice(0, 2), ["pool.a.jobs 0", "pool.b.jobs 0"]);
    const other = makeJoining(["a", "b"]);
    void other.joining.start();
    other.absent();
    await other.runtime.advance(290);
    assert.equal(other.takes(), false);
  });

  test("hears the others for 300 ms, and takes nothing meanwhile", async () => {
    const { joining, runtime, answer, beatOf, takes, peers } = makeJoining();
    void joining.start();
    await runtime.advance(100);
    beatOf("m2");
    answer("m2", "1 _");
    answer("m3", "1 p");
    await runtime.advance(190);
    assert.equal(takes(), false);
    await runtime.advance(20);
    assert.deepEqual([takes(), peers.otherOwners("p"), peers.otherOwners("q")], [true, ["m2", "m3"], ["m2"]]);
  });

  test("waits for the heartbeat of a manager of before, which answers as to any question, for 1.1 s", async () => {
    for (const [beatsAtMs, takesAtMs] of [
      [700, 700],
      [5_000, 1_100],
    ] as const) {
      const { joining, runtime, answer, beatOf, takes } = makeJoining();
      void joining.start();
      await runtime.turn();
      answer("old");
      await runtime.advance(Math.min(beatsAtMs, takesAtMs) - 20);
      assert.equal(takes(), false);
      if (beatsAtMs === takesAtMs) beatOf("old");
      await runtime.advance(40);
      assert.equal(takes(), true);
    }
  });

  test("takes nothing when it is stopped meanwhile", async () => {
    const { joining, runtime, answer, done } = makeJoining();
    const started = joining.start();
    answer("m2", "1 _");
    joining.stop();
    await runtime.advance(2_000);
    await started;
    assert.deepEqual(done, ["pool._.jobs 0", "round trip", "closes t0"]);
  });

  test("answers who joins after it, and knows that one from its word on", async () => {
    const { joining, done, published, absent, hear, peers } = makeJoining();
    assert.equal(hear("m2", ""), false, "a question after jobs");
    const started = joining.start();
    absent();
    await started;
    done.length = 0;
    assert.equal(hear("m1", "1"), true, "its own word");
    assert.deepEqual(done, []);
    hear("m2", "0");
    assert.deepEqual([done, peers.otherOwners("p")], [["beats", "r 1 _"], []]);
    assert.equal(fromBinary(JobQueryAnswerSchema, published.at(-1)!.data).manager, "m1");
    hear("m2", "1");
    hear("m3", "1", "q");
    assert.deepEqual([peers.otherOwners("p"), peers.otherOwners("q")], [["m2"], ["m2", "m3"]]);
    peers.drain();
    hear("m4", "0");
    assert.equal(done.at(-1), "r 0", "one that stops takes nothing new, and its heartbeats say so");
  });

  test("of two that join at the same moment each knows the other before it takes anything, or is known to it", async () => {
    const { joining, runtime, absent, answer, peers } = makeJoining();
    const started = joining.start();
    absent();
    await started;
    await runtime.turn();
    answer("m2", "1 _");
    assert.deepEqual(peers.otherOwners("p"), ["m2"], "that one has joined meanwhile, and answers");
  });
});
