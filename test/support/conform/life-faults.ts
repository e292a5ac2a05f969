/** Workers that do one thing wrong with control messages and heartbeats, and the scenarios that say so. */
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { CONTROL } from "../../../cli/conform/scenarios/control.js";
import { ControlRequestSchema, ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { type Fault, isBeat, isControl, type Mail, type Wire } from "./tampered-worker.js";

const RESULT = { [HEADER.reply]: "result" };

function answer({ reply }: Mail, wire: Wire, data = new Uint8Array(0)): readonly Mail[] {
  if (reply) wire.publish({ subject: reply, data, headers: RESULT });
  return [];
}

/** What a control message in protobuf asks; "" for another form. */
function asked({ data }: Mail): string {
  try {
    return fromBinary(ControlRequestSchema, data).op.case ?? "";
  } catch {
    return "";
  }
}

function isJson({ data }: Mail): boolean {
  return data[0] === 0x7b;
}

/** The worker's heartbeats, changed. */
function beats(change: (beat: Heartbeat) => Heartbeat): NonNullable<Fault["outgoing"]> {
  return (mail) => {
    if (!isBeat(mail)) return [mail];
    return [{ ...mail, data: toBinary(HeartbeatSchema, change(fromBinary(HeartbeatSchema, mail.data))) }];
  };
}

/** One more heartbeat after every fourth. The worker's own all leave: scenarios wait for what they say. */
function beside(bad: (beat: Heartbeat) => string): NonNullable<Fault["outgoing"]> {
  let count = 0;
  return (mail) => {
    if (!isBeat(mail)) return [mail];
    count += 1;
    if (count % 4 !== 0) return [mail];
    return [mail, { ...mail, data: new TextEncoder().encode(bad(fromBinary(HeartbeatSchema, mail.data))) }];
  };
}

/** No fault: a worker from before nonces and leases. */
export const versionOne: Fault = {
  what: "says protocol_version 1",
  fails: [],
  outgoing: beats((beat) => ({ ...beat, protocolVersion: 1 })),
};

/** It takes a pause and hears nothing at its control subject from then on. */
export function deafWhenPaused(): Fault {
  let deaf = false;
  return {
    what: "hears nothing when it is paused",
    fails: [],
    incoming: (mail) => {
      if (!isControl(mail)) return [mail];
      const isLost = deaf;
      deaf ||= asked(mail) === "pause";
      return isLost ? [] : [mail];
    },
  };
}

/** Each call makes the faults anew, since some remember what they saw. */
export function lifeFaults(): Fault[] {
  return [
    {
      what: "does not listen at its control subject",
      fails: CONTROL.scenarios.map(({ name }) => name),
      listens: (subject) => !subject.endsWith(".control.w1"),
    },
    {
      what: "answers protobuf with words",
      fails: ["probe", "pause", "paused-refuses", "paused-answers", "paused-finishes", "resize"],
      outgoing: (mail) => {
        if (!isControlAnswer(mail) || isJson(mail)) return [mail];
        return [{ ...mail, data: new TextEncoder().encode("yes") }];
      },
    },
    {
      what: "does not read JSON",
      fails: ["json-control", "pause-json"],
      incoming: (mail, wire) => {
        if (!isControl(mail) || !isJson(mail)) return [mail];
        return answer(mail, { ...wire, publish: (each) => wire.publish({ ...each, headers: REFUSED }) });
      },
    },
    {
      what: "says yes to whatever it is asked",
      fails: ["unknown-control"],
      incoming: (mail, wire) => (Buffer.from(mail.data).toString() === "conform" ? answer(mail, wire) : [mail]),
    },
    {
      what: "says that it has paused and goes on",
      fails: ["pause", "paused-refuses", "paused-answers", "paused-finishes"],
      incoming: (mail, wire) => (isControl(mail) && asked(mail) === "pause" ? answer(mail, wire) : [mail]),
    },
    {
      what: "says that it has resized and has not",
      fails: ["resize"],
      incoming: (mail, wire) => (isControl(mail) && asked(mail) === "resize" ? answer(mail, wire) : [mail]),
    },
    {
      what: "claims to know every job that it is asked for",
      fails: ["owed"],
      incoming: (mail, wire) => {
        if (!isControl(mail)) return [mail];
        const { op } =
          isJson(mail) || asked(mail) === "" ? { op: undefined } : fromBinary(ControlRequestSchema, mail.data);
        if (op?.case !== "owed") return [mail];
        const response = create(ControlResponseSchema, { knownJobIds: op.value.jobIds });
        return answer(mail, wire, toBinary(ControlResponseSchema, response));
      },
    },
    {
      what: "sends a malformed heartbeat now and then",
      fails: ["heartbeat-fields"],
      outgoing: beside(() => "{"),
    },
    {
      what: "gives every heartbeat the same number",
      fails: ["heartbeat-order"],
      outgoing: beats((beat) => ({ ...beat, seq: 7n })),
    },
    {
      what: "calls its states by names of its own",
      fails: ["state-names"],
      outgoing: beside((beat) => toJsonString(HeartbeatSchema, beat).replace("WORKER_STATE_", "")),
    },
    {
      what: "promises more heartbeats than it sends",
      fails: ["heartbeat-interval"],
      options: { heartbeatIntervalMs: 600 },
      outgoing: beats((beat) => ({ ...beat, heartbeatIntervalMs: 100 })),
    },
    {
      what: "never says that it is busy",
      fails: ["heartbeat-on-change"],
      outgoing: beats((beat) => ({ ...beat, busy: 0 })),
    },
    {
      what: "lists other jobs than it runs",
      fails: ["running-jobs", "running-nonces"],
      outgoing: beats((beat) => ({ ...beat, runningJobs: beat.runningJobs.map(() => "another") })),
    },
    {
      what: "lists jobs without their nonces",
      fails: ["running-nonces"],
      outgoing: beats((beat) => ({ ...beat, runningNonces: [] })),
    },
  ];
}

const REFUSED = { [HEADER.reply]: "error", [HEADER.error]: "invalid_argument", [HEADER.serviceErrorCode]: "400" };

function isControlAnswer({ headers, data }: Mail): boolean {
  return headers[HEADER.reply] === "result" && !(HEADER.jobId in headers) && data.length > 0;
}

/** Workers that do one thing wrong when they drain. */
export function drainFaults(): Fault[] {
  const silent = (state: WorkerState): NonNullable<Fault["outgoing"]> => {
    return (mail) => (isBeat(mail) && fromBinary(HeartbeatSchema, mail.data).state === state ? [] : [mail]);
  };
  return [
    { what: "leaves without a word", fails: ["last-heartbeat"], outgoing: silent(WorkerState.STOPPED) },
    { what: "does not say that it drains", fails: ["drain"], outgoing: silent(WorkerState.DRAINING) },
  ];
}
