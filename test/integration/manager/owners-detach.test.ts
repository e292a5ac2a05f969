/** A job that is detached at a manager which does not own its id. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ManagerService as ManagerServiceDesc } from "../../../gen/poolmesh/v1/manager_pb.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const POOL = "detached";
const subjects = new Subjects();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
const link = new TcpProxy(mesh.natsUrl);
cleanUp(WHOLE_FILE, () => link.stop());
await link.start();
const second = new ManagerService({
  id: "m2",
  bus: { servers: link.url },
  listen: { host: "127.0.0.1", port: 0 },
  graceMs: 0,
});
cleanUp(WHOLE_FILE, () => second.stop());
await second.start();
const [owner, other] = [client(mesh.manager.url), client(second.url)];
function client(baseUrl: string) {
  return createClient(ManagerServiceDesc, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
}

const hold = gate();
/** The ids of the jobs that a worker holds. */
const held = new Set<string>();
await mesh.addWorker<string, string>({
  pool: POOL,
  codec: "text",
  slots: 64,
  run: async ({ id, payload }) => {
    if (payload === "held") {
      held.add(id);
      await hold.promise;
    }
    return payload;
  },
});
const job = (jobId: string, value: string) => ({ pool: POOL, jobId, input: { case: "text", value } }) as const;
/** An id that m1 owns. */
function idOf(prefix: string, pool = POOL): string {
  for (let i = 0; ; i += 1) if (ownerOf(["m1", "m2"], pool, `${prefix}-${i}`) === "m1") return `${prefix}-${i}`;
}

test("DetachSubmit answers once the owner of the id has the job, so nobody else can have that id", async () => {
  // They know each other when what one was given is refused at the other.
  let tries = 0;
  await eventually(async () => {
    const id = idOf(`known-${tries++}`);
    await other.detachSubmit({ job: job(id, "held") });
    return (await rpcErrorOf(owner.submit({ ...job(id, "x"), timeoutMs: 1_000n }))).reason === "duplicate_job";
  });
  const id = idOf("contested");
  link.set("to-server", { mode: "pause" });
  const detached = other.detachSubmit({ job: job(id, "mine") }).then(
    () => "taken",
    (error: unknown) => rpcErrorOf(Promise.reject(error)).then(({ reason }) => reason),
  );
  // The owner alone gets it: of a queue group the broker may pick the other manager, which can say nothing now.
  const bus = await connectBus(WHOLE_FILE, mesh.broker);
  const headers = wireHeaders();
  headers.append(HEADER.jobId, id);
  const inbox = `${bus.newInbox()}a`;
  const words: string[] = [];
  bus.subscribe(inbox, ({ data }) => words.push(new TextDecoder().decode(data)));
  headers.append(HEADER.replyTo, inbox);
  bus.publish(subjects.submitTo(POOL, "m1"), new TextEncoder().encode("held"), {
    headers,
    reply: `${bus.newInbox()}b`,
  });
  await eventually(() => held.has(id), { what: "its owner, which has heard of no other job, gives it to a worker" });
  link.heal();
  assert.equal(await detached, "duplicate_job");
  hold.open();
  await eventually(() => words.includes("held"), { what: "the result of the owner's job" });
});

test("an outcome of a job that was detached there can be asked for there", async () => {
  const id = idOf("asked");
  await other.detachSubmit({ job: job(id, "mine") });
  const { outcome } = await other.getOutcome({ pool: POOL, jobId: id });
  assert.ok(outcome.case === "result" && outcome.value.output.value === "mine");
});

test("it answers although the job waits for a slot at its owner", async () => {
  const pool = "nobody-serves";
  const parked = { ...job(idOf("parked", pool), "mine"), pool, waitForPool: true, timeoutMs: 60_000n };
  const { jobId } = await other.detachSubmit({ job: parked });
  assert.equal(jobId, parked.jobId);
  await owner.cancel({ pool, jobId });
});
