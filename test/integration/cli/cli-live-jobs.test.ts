/** `poolmesh jobs --live`, `job` and `tail`: the jobs of managers, over the broker and over HTTP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { eventLine } from "../../../cli/inspect/event-line.js";
import { Output } from "../../../cli/output/output.js";
import { JobEventKind, JobEventSchema, JobQueryAnswerSchema, JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { PermanentError } from "../../../mesh/errors.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Meter } from "../../../services/meter/meter.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit, type ShellOptions } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1", showPayloads: true } });
const hold = gate();
await mesh.addWorker<string, string>({
  pool: "adder",
  id: "w1",
  codec: "text",
  run: async ({ payload }) => {
    if (payload === "bad") throw new PermanentError("page 3 has \u001b[31mno text");
    if (payload === "hold") await hold.promise;
    return `${payload}!`;
  },
});
await mesh.untilCapacity("adder", 1);
const submit = (jobId: string, value: string) =>
  mesh.client.submit({ pool: "adder", jobId, input: { case: "text", value }, client: "ci", timeoutMs: 600_000n });
await submit("good-1", "fine");
await submit("bad-1", "bad").catch(() => {});
const running = submit("run-1", "hold");
await eventually(() => mesh.manager.pools?.find("adder")?.dispatcher.live("run-1") !== undefined);
const parked = submit("wait-1", "fine");

function poolmesh(argv: readonly string[], options: ShellOptions = {}): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: mesh.natsUrl }, options);
}

/** Over the broker, and over HTTP. */
const WAYS = [[], ["--url", mesh.manager.url]];
const meter = new Meter({ bus: { servers: mesh.natsUrl }, listen: { host: "127.0.0.1", port: 0 } });
cleanUp(WHOLE_FILE, () => meter.stop());
await meter.start();
const jobsOfMeter = createClient(JobService, createConnectTransport({ baseUrl: meter.url, httpVersion: "1.1" }));
await eventually(async () => (await jobsOfMeter.listJobs({})).jobs.length === 4);
/** Also through a meter, from which the page has them. */
const ALL_WAYS = [...WAYS, ["--url", meter.url]];

test("jobs --live - lists live jobs and the last ones that ended, the newest first, as a table and as JSON", async () => {
  for (const way of ALL_WAYS) {
    const { code, stdout, stderr } = await poolmesh(["jobs", "--live", ...way]);
    assert.deepEqual([code, stderr], [0, ""]);
    const [titles, ...rows] = stdout.trimEnd().split("\n");
    assert.match(titles ?? "", /^JOB +POOL +STATE +AGE +WAITED +RAN +ATTEMPT +WORKER +CLIENT +MESSAGE$/);
    const columns = rows.map((row) => row.split(/ {2,}/).slice(0, 3).join(" "));
    assert.deepEqual(columns, [
      "wait-1 adder parked",
      "run-1 adder running",
      "bad-1 adder job_rejected",
      "good-1 adder succeeded",
    ]);
    assert.ok(!stdout.includes("\u001b"), "what a handler says does not reach the terminal as it is");
    const { stdout: json } = await poolmesh(["jobs", "adder", "--live", "--state", "failed", "--json", ...way]);
    const one = JSON.parse(json) as { id: string; error: { reason: string }; client: string };
    assert.deepEqual([one.id, one.error.reason, one.client], ["bad-1", "job_rejected", "ci"]);
  }
});

test("jobs --live --slowest - lists those that took longest first, whichever ended since", async () => {
  const took = async (way: readonly string[], ...more: string[]) => {
    const { stdout } = await poolmesh(["jobs", "adder", "--live", "--slowest", "--json", ...more, ...way]);
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; totalMs: number });
  };
  const [first, ...others] = await took([]);
  assert.ok(others.every(({ totalMs }) => totalMs <= (first?.totalMs ?? 0)));
  assert.deepEqual(
    [first, ...others].map((job) => job?.id).sort(),
    ["bad-1", "good-1"],
    "live ones are not among them",
  );
  for (const way of ALL_WAYS) assert.deepEqual(await took(way), [first, ...others]);
  for (const way of ALL_WAYS) assert.deepEqual(await took(way, "--limit", "1"), [first]);
});

test("job - the same job is told over the broker, by a manager and by a meter, which shows no payload", async () => {
  const told = await Promise.all(
    ALL_WAYS.map(async (way) => JSON.parse((await poolmesh(["job", "good-1", "--json", ...way])).stdout) as object),
  );
  const { input: _input, result: _result, ...rest } = told[0] as Record<string, unknown>;
  assert.deepEqual(told, [told[0], told[0], rest]);
});

test("jobs --live and tail - colour states where a terminal takes colours", async () => {
  const env = { NATS_URL: mesh.natsUrl, FORCE_COLOR: "1" };
  const { stdout } = await runInShell(["jobs", "--live", "--state", "failed"], env);
  assert.ok(stdout.includes("\u001b[31mjob_rejected\u001b[39m"), stdout);
  const event = create(JobEventSchema, { kind: JobEventKind.SUCCEEDED, jobId: "j" });
  const color = new Output(process.stdout, { FORCE_COLOR: "1" });
  assert.ok(eventLine(color, event, 0).includes("\u001b[32msucceeded\u001b[39m"));
});

test("jobs - what belongs to the other kind of list is refused, and told how to have it", async () => {
  const cases: [string[], RegExp][] = [
    [["jobs"], /name the pool .* or say --live/],
    [["jobs", "adder", "--state", "parked"], /parked is none without --live: use scheduled, queued/],
    [["jobs", "--live", "--state", "queued"], /queued is none with --live: use parked/],
    [["jobs", "adder", "--client", "ci"], /say --live with/],
    [["jobs", "adder", "--slowest"], /say --live with --slowest/],
  ];
  for (const [argv, message] of cases) {
    const { code, stderr } = await poolmesh(argv);
    assert.deepEqual([code, message.test(stderr)], [2, true], stderr);
  }
  const { code, stderr } = await poolmesh(["jobs", "adder"]);
  assert.deepEqual([code, /--live lists the jobs at managers/.test(stderr)], [69, true], stderr);
});

test("job - finds a job by its id alone, with its payload, its result or its error", async () => {
  for (const way of WAYS) {
    const good = await poolmesh(["job", "good-1", ...way]);
    assert.match(good.stdout, /^state +succeeded$/m);
    assert.match(good.stdout, /^payload +fine$/m);
    assert.match(good.stdout, /^result +fine!$/m);
    const bad = await poolmesh(["job", "adder", "bad-1", ...way]);
    assert.match(bad.stdout, /^state +failed: job_rejected$/m);
    assert.match(bad.stdout, /^message +page 3 has /m);
    const fields = JSON.parse((await poolmesh(["job", "good-1", "--json", ...way])).stdout) as Record<string, unknown>;
    assert.deepEqual([fields.state, fields.input, fields.result], ["succeeded", "fine", "fine!"]);
    const missing = await poolmesh(["job", "nowhere", ...way]);
    assert.deepEqual([missing.code, /no manager has or remembers/.test(missing.stderr)], [1, true], missing.stderr);
  }
});

test("tail - prints a readable line for each event, and JSON where it is asked for", async () => {
  hold.open();
  await Promise.all([running, parked]);
  const pool = mesh.manager.pools?.find("adder");
  for (const [at, way] of WAYS.entries()) {
    // Each of them ends by itself when it has seen its job end.
    const tails = [
      poolmesh(["tail", "adder", "--id-prefix", `seen-${at}`, "--state", "succeeded", "--limit", "1", ...way]),
      poolmesh(["tail", "--json", "--id-prefix", `seen-${at}`, "--limit", "1", ...way]),
    ];
    await eventually(() => pool?.totals.observer !== undefined);
    let ended = false;
    const both = Promise.all(tails).finally(() => (ended = true));
    // A follower over the broker may have begun a moment later than the other.
    for (let i = 0; !ended; i += 1) {
      await submit(`seen-${at}-${i}`, "fine");
      await delay(10);
    }
    const [line, json] = await both;
    assert.match(
      line?.stdout ?? "",
      /^\d\d:\d\d:\d\d\.\d{3} {2}succeeded {2}seen-\S+ {2}w1, waited .*, ran .*, 5 bytes\n$/,
    );
    const event = JSON.parse(json?.stdout ?? "") as Record<string, unknown>;
    assert.deepEqual([event.pool, event.manager, event.client], ["adder", "m1", "ci"]);
  }
});

test("jobs --live - a manager that is slow to answer is waited for: the broker says that it is there", async (t) => {
  const bus = await connectBus(t, { url: mesh.natsUrl });
  const answer = toBinary(JobQueryAnswerSchema, create(JobQueryAnswerSchema, { manager: "far-away" }));
  const slowly = (reply: string) => setTimeout(() => bus.publish(reply, answer), 600);
  bus.subscribe(new Subjects("far").jobs(undefined), ({ reply = "" }) => slowly(reply));
  await bus.flush();
  const { code, stderr } = await poolmesh(["jobs", "--live", "--prefix", "far"]);
  assert.deepEqual([code, stderr], [0, "poolmesh: no manager has or remembers a job\n"]);
  const nobody = await poolmesh(["jobs", "--live", "--prefix", "nobody"]);
  assert.match(nobody.stderr, /bus_unavailable: no manager answers/);
});
