/** Managers that say nothing: on the way to another broker, or about to stop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { encodeJobHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { connectBus } from "../../support/broker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();
const subjects = new Subjects();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1", graceMs: 10_000 } });
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const runs: string[] = [];
const hold = gate();
await mesh.addWorker<string, string>({
  pool: "p",
  codec: "text",
  slots: 8,
  run: async ({ id }) => {
    runs.push(id);
    if (id.startsWith("long")) await hold.promise;
    return `${id} has run`;
  },
});

/** A question as a client asks it, with its answers as they come. */
function ask(subject: string, id: string, payload: string, more: Readonly<Record<string, string>> = {}): string[] {
  const heard: string[] = [];
  const reply = `${bus.newInbox()}a`;
  bus.subscribe(reply, (msg) => heard.push(`${msg.headers?.get(HEADER.reply)} ${msg.string()}`.trim()));
  const headers = encodeJobHeaders({ jobId: id, nonce: `n-${id}`, offer: true });
  for (const [name, value] of Object.entries(more)) headers.append(name, value);
  bus.publish(subject, Buffer.from(payload), { headers, reply });
  return heard;
}

test("a submission is sent to the owner of its id again until the owner says that it has it", async () => {
  const heartbeat = { manager: "m2", pool: "p", incarnation: 1n, seq: 1n, takesSubmissions: true, allPools: true };
  let came = 0;
  const played = bus.subscribe(subjects.submitTo("p", "m2"), (msg) => {
    came += 1;
    // The first was lost on the way.
    if (came === 3) bus.publish(msg.reply ?? "");
  });
  bus.publish(
    subjects.managerHeartbeat("p", "m2"),
    toBinary(ManagerHeartbeatSchema, create(ManagerHeartbeatSchema, heartbeat)),
  );
  await bus.flush();
  const id = Array.from({ length: 100 }, (_, i) => `theirs-${i}`).find((each) => {
    return ownerOf(["m1", "m2"], "p", each) === "m2";
  });
  ask(subjects.submit("p"), id ?? "", "x");
  await eventually(() => came === 3, { what: "the third copy" });
  played.unsubscribe();
  assert.deepEqual(runs, [], "nobody else has taken it");
});

test("a submission that is passed on twice runs once, and its caller hears of it where it waits", async () => {
  const passed = { [HEADER.replyTo]: `${bus.newInbox()}b` };
  const heard: string[] = [];
  bus.subscribe(passed[HEADER.replyTo] ?? "", (msg) => heard.push(`${msg.headers?.get(HEADER.reply)} ${msg.string()}`));
  ask(subjects.submitTo("p", "m1"), "long-twice", "x", passed);
  await eventually(() => runs.includes("long-twice"));
  ask(subjects.submitTo("p", "m1"), "long-twice", "x", passed);
  await eventually(() => heard.filter((each) => each.startsWith("accepted")).length >= 2);
  assert.deepEqual(runs, ["long-twice"]);
});

test("a manager that stops answers who asks for a job that it still runs, and takes its repeat for that job", async () => {
  const first = ask(subjects.submit("p"), "long", "x");
  await eventually(() => runs.includes("long") && first.length > 0);
  const stopped = mesh.manager.stop();
  const refused: string[] = [];
  const elsewhere = `${bus.newInbox()}d`;
  bus.subscribe(elsewhere, (msg) => refused.push(msg.headers?.get(HEADER.error) ?? ""));
  let tries = 0;
  await eventually(
    () => {
      tries += 1;
      ask(subjects.submitTo("p", "m1"), `new-${tries}`, "x", { [HEADER.replyTo]: elsewhere });
      return refused.includes("draining");
    },
    { what: "it to refuse new ones" },
  );
  const again = ask(subjects.submitTo("p", "m1"), "long", "");
  const repeat = ask(subjects.submitTo("p", "m1"), "long", "x", { [HEADER.replyTo]: `${bus.newInbox()}c` });
  await eventually(() => again.length > 0 && repeat.length > 0);
  assert.deepEqual([again, repeat], [["accepted"], ["undefined"]], "both are told that it is here");
  hold.open();
  await within(stopped);
  await eventually(() => again.length > 1 && first.length > 1);
  assert.deepEqual([again.at(-1), first.at(-1)], ["result long has run", "result long has run"]);
  assert.equal(runs.filter((id) => id === "long").length, 1);
});
