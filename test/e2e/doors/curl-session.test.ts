/** examples/curl/session.txt, command by command. */
import { test } from "node:test";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { readTranscript, runStep } from "../../support/docs/transcript.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { programFile } from "../../support/program-file.js";
import { without } from "../../support/tools.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
await mesh.addWorker({
  pool: "adder",
  id: "w1",
  slots: 2,
  handlerFile: programFile("../../../examples/handlers/adder", import.meta.url),
});
await mesh.untilCapacity("adder", 2);
const env = { MANAGER: mesh.manager.url, METER: mesh.meter.url, no_proxy: "127.0.0.1" };

for (const step of await readTranscript("examples/curl/session.txt")) {
  test(`curl: ${step.command}`, { skip: without("curl") }, (t) => runStep(t, step, env));
}
