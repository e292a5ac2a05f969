/** Cancels of a client whose link to the broker fails: they are said until somebody has heard them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate, settled, within } from "../../support/wait.js";

leakGuard();

/** A pool whose handler ends when it is aborted, and a client behind a link that fails. */
async function startMesh(t: Owner) {
  const broker = await startBroker(t, { jetStream: false });
  const service = new ManagerService({
    bus: { servers: broker.url },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 100,
  });
  cleanUp(t, () => service.stop());
  await service.start();
  const started = gate();
  const aborted = gate();
  const run = async (job: { readonly signal: AbortSignal }): Promise<number> => {
    started.open();
    await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
    aborted.open();
    return 0;
  };
  const worker = new Worker({ pool: "p", run, slots: 1, graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const proxy = new TcpProxy(broker.url);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  const bus = await connectBus(t, { url: proxy.url });
  const client = await Client.connect({ pool: "p", connection: bus });
  cleanUp(t, () => client.close());
  return { broker, proxy, bus, client, started, aborted };
}

test("client cancel - one that is lost on the way is said again, and its caller hears that it was heard", async (t) => {
  const { proxy, client, started, aborted } = await startMesh(t);
  const running = failure(client.submit("1", { id: "lost", timeoutMs: 60_000 }));
  await started.promise;
  proxy.set("to-server", { mode: "drop" });
  const heard = client.cancel("lost");
  const { reason, maybeExecuted } = await running;
  assert.deepEqual({ reason, maybeExecuted }, { reason: "canceled", maybeExecuted: true });
  assert.equal(await settled(heard), "pending");
  assert.equal(await settled(aborted.promise), "pending");
  proxy.set("to-server", { mode: "pass" });
  await within(aborted.promise, { what: "the handler's signal" });
  await within(heard, { what: "that the cancel was heard" });
});

test("client cancel - one without a broker is said when the broker is back", async (t) => {
  const { proxy, bus, client, started, aborted } = await startMesh(t);
  const running = failure(client.submit("1", { id: "away", timeoutMs: 60_000 }));
  await started.promise;
  proxy.reset({ refuse: true });
  await eventually(() => !bus.connected);
  const heard = client.cancel("away");
  assert.equal((await running).reason, "canceled");
  proxy.heal();
  await within(aborted.promise, { what: "the handler's signal" });
  await within(heard, { what: "that the cancel was heard" });
});

test("client cancel - its caller hears when nobody confirms it before the job's deadline", async (t) => {
  const { proxy, bus, client, started } = await startMesh(t);
  const running = failure(client.submit("1", { id: "unheard", timeoutMs: 6_000 }));
  await started.promise;
  proxy.reset({ refuse: true });
  await eventually(() => !bus.connected);
  const heard = failure(client.cancel("unheard"));
  assert.equal((await running).reason, "canceled");
  const { reason, maybeExecuted, retryable } = await heard;
  assert.deepEqual(
    { reason, maybeExecuted, retryable },
    { reason: "bus_unavailable", maybeExecuted: true, retryable: false },
  );
});

test("client cancel - a stream over the cancels confirms none: a job that nobody has is not found", async (t) => {
  const { broker, client } = await startMesh(t);
  const stranger = await connectBus(t, broker);
  for (const subject of ["pool.p.cancel.*", "pool.p.discard"])
    stranger.subscribe(
      subject,
      (msg) => void stranger.publish(msg.reply ?? "", Buffer.from('{"stream":"AUDIT","seq":7}')),
    );
  await stranger.flush();
  assert.equal((await failure(client.cancel("nobody-has-this"))).reason, "not_found");
});

test("client cancel - a job that is canceled in the turn in which it was submitted never leaves, and is not waited for", async (t) => {
  const { bus, client, started } = await startMesh(t);
  const outcomes: Outcome[] = [];
  const id = client.detachSubmit("1", { onOutcome: (outcome) => outcomes.push(outcome) });
  await client.cancel(id);
  const [outcome] = outcomes;
  assert.ok(outcome?.ok === false);
  const { reason, maybeExecuted } = outcome.error;
  assert.deepEqual({ reason, maybeExecuted }, { reason: "canceled", maybeExecuted: false });
  await bus.flush();
  assert.equal(await settled(started.promise), "pending");
});
