/** relay.Capacity: the same stream as solpipe.WorkerStatus, to the byte. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startBeating, startMeter } from "../../support/meter/meter-rig.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const PATHS = ["/solpipe.WorkerStatus/OnStatus", "/relay.Capacity/OnStatus"] as const;

/** The bytes of a gRPC answer as they come. */
function listen(t: Owner, url: string, path: string, pool: string): { bytes: () => string } {
  const session = connect(url);
  cleanUp(t, () => session.destroy());
  const headers = { ":path": path, ":method": "POST", "content-type": "application/grpc", te: "trailers", pool };
  const call = session.request(headers);
  const chunks: Buffer[] = [];
  call.on("data", (chunk: Buffer) => chunks.push(chunk));
  call.on("error", () => {});
  call.end(Buffer.alloc(5));
  return { bytes: () => Buffer.concat(chunks).toString("hex") };
}

test("relay.Capacity - sends the bytes that solpipe.WorkerStatus sends", async (t) => {
  const meter = await startMeter(t, broker);
  const streams = PATHS.map((path) => listen(t, meter.url, path, "raw"));
  const become = (bytes: string) =>
    eventually(() => streams.every((stream) => stream.bytes() === bytes), { what: bytes }).catch((error: Error) => {
      throw new Error(`${error.message}: ${streams.map((stream) => stream.bytes()).join(" ")}`);
    });
  const [ONE, HALF, ZERO] = ["00000000050d0000803f", "00000000050d0000003f", "0000000000"];
  await become(`${ONE}`);
  const { workers } = await startBeating(t, broker, { pool: "raw", slots: 2 });
  await become(`${ONE}${ZERO}`);
  workers[0]?.startJob();
  await become(`${ONE}${ZERO}${HALF}`);
  workers[0]?.endJob();
  await become(`${ONE}${ZERO}${HALF}${ZERO}`);
});

test("relay.Capacity and solpipe - a pool that nobody has named is told by a header, and its stream waits for it", async (t) => {
  const meter = await startMeter(t, broker);
  await startBeating(t, broker, { pool: "named", slots: 2 });
  await eventually(async () => (await fetch(`${meter.url}/metrics`)).text().then((text) => text.includes("named")));
  for (const path of PATHS) {
    for (const [pool, known] of [
      ["named", "1"],
      ["nmaed", "0"],
    ]) {
      const headers = { "content-type": "application/connect+json", pool: pool ?? "" };
      const controller = new AbortController();
      const call = { method: "POST", headers, body: Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from("{}")]) };
      const answer = await fetch(meter.url + path, { ...call, signal: controller.signal });
      assert.deepEqual([answer.status, answer.headers.get("pool-known")], [200, known], path);
      controller.abort();
      await answer.text().catch(() => undefined);
    }
  }
});

test("relay.Capacity - is listed by reflection", async (t) => {
  const meter = await startMeter(t, broker);
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: meter.url }));
  async function* ask() {
    yield { messageRequest: { case: "listServices", value: "" } } as const;
    yield { messageRequest: { case: "fileContainingSymbol", value: "relay.Capacity" } } as const;
  }
  const answers: string[] = [];
  for await (const { messageResponse } of client.serverReflectionInfo(ask())) {
    if (messageResponse.case === "listServicesResponse") {
      assert.ok(messageResponse.value.service.some(({ name }) => name === "relay.Capacity"));
    }
    answers.push(String(messageResponse.case));
  }
  assert.deepEqual(answers, ["listServicesResponse", "fileDescriptorResponse"]);
});
