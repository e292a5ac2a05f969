/** What a handler is told of the lane that its job came by. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import type { Job, WorkerOptions } from "../../../services/worker/worker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { programFile } from "../../support/program-file.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });
const FILE = programFile("../../support/handlers/lane", import.meta.url);

type Kind = Pick<WorkerOptions, "run" | "handlerFile" | "isolation" | "exec">;
const KINDS: Readonly<Record<string, Kind>> = {
  function: { run: ({ lane, maxAttempts }: Job) => `${lane} ${maxAttempts ?? ""}` },
  thread: { handlerFile: FILE, isolation: "thread" },
  process: { handlerFile: FILE, isolation: "process" },
  command: { exec: 'printf "%s" "$JOB_LANE $JOB_MAX_ATTEMPTS"' },
};

for (const [pool, kind] of Object.entries(KINDS)) {
  test(`a ${pool} is told of each job whether it was enqueued, and after how many failures it is given up`, async (t) => {
    await mesh.addWorker({ pool, slots: 4, codec: "text", ...kind }, t);
    const client = await Client.connect({ pool, servers: mesh.natsUrl });
    cleanUp(t, () => client.close());
    const told = async (maxAttempts?: number): Promise<string> => {
      const receipt = await client.enqueue("", maxAttempts === undefined ? {} : { maxAttempts });
      return (await receipt.result()).text();
    };
    // At once, so that several leave in one message.
    const answers = await Promise.all([told(), told(7), told(1), client.submit("").then((result) => result.text())]);
    assert.deepEqual(answers, ["durable 5", "durable 7", "durable 1", "core "]);
  });
}
