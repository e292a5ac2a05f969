/** A command's spans have left before its process ends: the real SDK in a real process, which sends by OTLP. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { packageRoot } from "../../../mesh/process/identity.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { type Exit, startCli } from "../../support/process.js";
import { OtlpReceiver } from "../../support/trace/otlp-receiver.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
await mesh.addWorker<number, number>({ pool: "adder", run: ({ payload }) => payload + 1 });
await mesh.untilCapacity("adder", 1);

function submit(t: TestContext, collector: string, id: string): Promise<Exit> {
  const env = {
    NATS_URL: mesh.natsUrl,
    NODE_OPTIONS: `--import ${join(packageRoot(), "test", "support", "trace", "otel.mjs")}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_SERVICE_NAME: "shop",
  };
  return startCli(t, ["submit", "adder", "41", "--id", id], { env, input: "" }).exit();
}

test("the span of one `poolmesh submit` has arrived when its process has ended, under the name of its service", async (t) => {
  const receiver = new OtlpReceiver();
  cleanUp(t, () => receiver.stop());
  await receiver.start();
  const { code, stdout, stderr } = await submit(t, receiver.url, "once");
  assert.deepEqual([code, stdout.trim(), stderr], [0, "42", ""]);
  const span = receiver.find("submit", "once");
  assert.deepEqual(
    [span?.kind, span?.service],
    [4, "shop"],
    "a producer, under the name that the environment gives it",
  );
});

test("a collector that takes a connection and answers nothing does not keep a command", async (t) => {
  const sockets = new Set<{ destroy(): void }>();
  const silent = createServer((socket) => sockets.add(socket.on("error", () => {})));
  cleanUp(t, async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  const { code, stdout } = await submit(t, `http://127.0.0.1:${port}`, "silent");
  assert.deepEqual([code, stdout.trim(), sockets.size > 0], [0, "42", true], "it ends long before the SDK gives up");
});
