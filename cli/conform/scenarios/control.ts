/** Scenarios: what a worker does when it is told to. */
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import { intervalMs } from "../../../mesh/wire/liveness-rules.js";
import { answerText, type ControlAnswer } from "../control-answer.js";
import { type Kit, PATIENCE_MS } from "../kit.js";
import type { Scenario, ScenarioGroup } from "../scenario.js";
import { expect, NotTried } from "../verdict.js";

/** What has changed is said in a heartbeat this long after the interval at the latest, in milliseconds. */
const SAID_MS = 900;

/** A worker that has said STOPPED is gone within this, in milliseconds. A question may stay unanswered meanwhile. */
const GONE_MS = 5_000;

type Verb = "pause" | "resume";

const listens: Scenario = {
  name: "listens",
  level: "v0",
  sentence: "A worker listens at `pool.P.control.W` and answers what comes there, even if the answer is empty.",
  async run(kit) {
    const answer = await kit.control.ask(encodeControl("probe", {}));
    expect(answer.form !== "absent" && answer.form !== "silent", answerText(answer));
  },
};

const probe: Scenario = {
  name: "probe",
  level: "v1",
  sentence: "A request in protobuf is answered with a `ControlResponse` in protobuf, or with an empty answer.",
  async run(kit) {
    expectForm(await kit.control.ask(encodeControl("probe", {})), "protobuf", kit);
  },
};

const jsonControl: Scenario = {
  name: "json-control",
  level: "v1",
  sentence: "A request in JSON, or one word, is answered with a `ControlResponse` in JSON, or with an empty answer.",
  async run(kit) {
    expectForm(await kit.control.ask('{"probe":{}}'), "json", kit);
    expectForm(await kit.control.ask("probe"), "json", kit);
  },
};

const unknownControl: Scenario = {
  name: "unknown-control",
  level: "v1",
  sentence: "A request that the worker does not know is answered with the error `invalid_argument`.",
  async run(kit) {
    const answer = await kit.control.ask("conform");
    expect(answer.error?.reason === "invalid_argument", answerText(answer));
  },
};

const pause: Scenario = {
  name: "pause",
  level: "v1",
  sentence: "After `pause` the worker's state is PAUSED, and after `resume` it is READY.",
  run: (kit) => pausesAndResumes(kit, (verb) => encodeControl(verb, {})),
};

const pauseJson: Scenario = {
  name: "pause-json",
  level: "v1",
  sentence: 'The same holds when they come in JSON, as `{"pause":{}}` and `{"resume":{}}`.',
  run: (kit) => pausesAndResumes(kit, (verb) => `{"${verb}":{}}`),
};

async function pausesAndResumes(kit: Kit, request: (verb: Verb) => Uint8Array | string): Promise<void> {
  const paused = await kit.askUntilEnd(request("pause"), request("resume"), "PAUSED");
  await expectState(kit, paused, WorkerState.PAUSED);
  await expectState(kit, await kit.control.ask(request("resume")), WorkerState.READY);
  await kit.result();
}

const pausedRefuses: Scenario = {
  name: "paused-refuses",
  level: "v1",
  sentence:
    "While PAUSED a worker answers an offer with `busy`, and a job without `Pool-Offer` with the error `draining` or `pool_full`.",
  async run(kit) {
    await pauseUntilEnd(kit);
    const offer = kit.send({ to: "worker" });
    const reply = await offer.any(kit.answerLimitMs);
    expect(reply?.kind === "busy", `an offer got ${offer.summary}`);
    const plain = kit.send({ to: "worker", offer: false });
    const error = (await plain.any(kit.answerLimitMs))?.error?.reason;
    expect(error === "draining" || error === "pool_full", `a job without Pool-Offer got ${plain.summary}`);
  },
};

const pausedAnswers: Scenario = {
  name: "paused-answers",
  level: "v1",
  sentence: "While PAUSED a worker answers control messages and sends heartbeats as before.",
  async run(kit) {
    await pauseUntilEnd(kit);
    const answer = await kit.control.ask(encodeControl("probe", {}));
    expect(answer.form !== "absent" && answer.form !== "silent", answerText(answer));
    const heard = await kit.beatOf(WorkerState.PAUSED, interval(kit) + SAID_MS);
    expect(heard !== undefined, "no heartbeat says PAUSED");
  },
};

const pausedFinishes: Scenario = {
  name: "paused-finishes",
  level: "v1",
  sentence: "A pause ends no running job.",
  async run(kit) {
    const sent = await kit.start();
    await pauseUntilEnd(kit);
    const outcome = await sent.outcome(kit.slowLimitMs);
    expect(outcome?.kind === "result", sent.summary);
  },
};

async function pauseUntilEnd(kit: Kit): Promise<void> {
  await expectState(
    kit,
    await kit.askUntilEnd(encodeControl("pause", {}), encodeControl("resume", {}), "PAUSED"),
    WorkerState.PAUSED,
  );
}

const resize: Scenario = {
  name: "resize",
  level: "v1",
  sentence: "`resize N` changes the number of slots to N, or is refused with the error `invalid_argument`.",
  async run(kit) {
    const slots = kit.slots();
    const wanted = slots + 1;
    const fromMs = kit.now();
    const answer = await kit.askUntilEnd(
      encodeControl("resize", { slots: wanted }),
      encodeControl("resize", { slots }),
      `of ${wanted} slots`,
    );
    if (answer.error?.reason === "invalid_argument") return;
    expect(answer.form === "protobuf" || answer.form === "empty", answerText(answer));
    if (answer.response?.worker?.slots === wanted) return;
    const heard = await kit.beat(({ beat }) => beat?.slots === wanted, interval(kit) + SAID_MS, fromMs);
    expect(heard !== undefined, `it has ${kit.slots()} slots after resize ${wanted}`);
  },
};

/** The answer says the state, or a heartbeat does. @throws NotTried when the worker does not know the verb */
async function expectState(kit: Kit, answer: ControlAnswer, state: WorkerState): Promise<void> {
  const name = WorkerState[state];
  expect(answer.form !== "absent" && answer.form !== "silent" && answer.form !== "error", answerText(answer));
  expect(answer.form !== "malformed", answerText(answer));
  if (answer.response?.worker?.state === state) return;
  const isSaid = (): true | undefined => (kit.hearing.last(kit.target.worker)?.state === state ? true : undefined);
  const heard = await kit.hearing.until(isSaid, interval(kit) + SAID_MS);
  const last = kit.hearing.last(kit.target.worker)?.state ?? 0;
  expect(heard === true, `its heartbeats say ${WorkerState[last]} instead of ${name}`);
}

function expectForm(answer: ControlAnswer, form: "protobuf" | "json", kit: Kit): void {
  expect(answer.form === form || answer.form === "empty", answerText(answer));
  const worker = answer.response?.worker?.worker;
  expect(worker === undefined || worker === kit.target.worker, `the answer is that of worker ${worker}`);
}

function interval(kit: Kit): number {
  return intervalMs(kit.hearing.last(kit.target.worker)?.heartbeatIntervalMs ?? 0);
}

const drain: Scenario = {
  name: "drain",
  level: "v1",
  sentence: "After `drain` the state is DRAINING, nothing new is taken, and what runs ends with its result.",
  async run(kit) {
    if (!kit.mayDrain) throw new NotTried("it ends the worker: --drain");
    const sent = await kit.start();
    const fromMs = kit.now();
    const answer = await kit.control.ask('{"drain":{}}');
    expect(answer.form === "json" || answer.form === "empty", answerText(answer));
    const heard = await kit.beatOf(WorkerState.DRAINING, PATIENCE_MS, fromMs);
    expect(heard !== undefined, "no heartbeat says DRAINING");
    const refused = kit.send({ to: "worker" });
    const reply = await refused.any(kit.answerLimitMs);
    expect(reply?.kind === "busy" || refused.nobodyListens, `an offer got ${refused.summary}`);
    const outcome = await sent.outcome(kit.slowLimitMs);
    expect(outcome?.kind === "result", `the running job got ${sent.summary}`);
  },
};

const lastHeartbeat: Scenario = {
  name: "last-heartbeat",
  level: "v1",
  sentence: "The last heartbeat says STOPPED, and nobody listens at `pool.P.control.W` after it.",
  async run(kit) {
    if (!kit.mayDrain) throw new NotTried("it ends the worker: --drain");
    const stopped = await kit.beatOf(WorkerState.STOPPED, interval(kit) + SAID_MS, 0);
    expect(stopped !== undefined, "no heartbeat says STOPPED");
    const untilMs = kit.now() + GONE_MS;
    for (let gone = false; !gone; ) {
      gone = (await kit.control.ask(encodeControl("probe", {}))).form === "absent";
      expect(gone || kit.now() < untilMs, "somebody still listens there");
    }
  },
};

export const CONTROL: ScenarioGroup = {
  title: "Control",
  scenarios: [
    listens,
    probe,
    jsonControl,
    unknownControl,
    pause,
    pauseJson,
    pausedRefuses,
    pausedAnswers,
    pausedFinishes,
    resize,
  ],
};

/** The last group: it ends the worker. */
export const DRAINING: ScenarioGroup = { title: "Draining", scenarios: [drain, lastHeartbeat] };
