/** Streams and consumers that clients make: what is stored, refused, delivered, and delivered again. */
import {
  ask,
  broker,
  bySubscription,
  connect,
  publish,
  respond,
  type Script,
  type Step,
  settle,
  start,
  subscribe,
  until,
} from "../script.js";

const NANOS = 1_000_000;
const ERROR = ["error.code", "error.err_code", "error.description"];

/** A stream of work, as the durable lane has it. */
const WORK = {
  name: "WORK",
  subjects: ["work.*"],
  retention: "workqueue",
  storage: "file",
  discard: "new",
  max_msgs_per_subject: 1,
  discard_new_per_subject: true,
  max_msgs: 3,
  duplicate_window: 120_000 * NANOS,
  allow_direct: true,
};

/** A stream that keeps the last message of each subject, and tells of it. */
const LAST = {
  name: "LAST",
  subjects: ["last.*"],
  retention: "limits",
  storage: "file",
  discard: "old",
  max_msgs_per_subject: 1,
  allow_direct: true,
  republish: { src: "last.*", dest: "told.{{wildcard(1)}}" },
};

function create(stream: { readonly name: string }): Step {
  return ask("a", { subject: `$JS.API.STREAM.CREATE.${stream.name}`, payload: stream, see: ["config.name", "error"] });
}

function consumer(ackWaitMs: number): Step {
  const config = {
    durable_name: "all",
    filter_subject: "work.*",
    ack_policy: "explicit",
    ack_wait: ackWaitMs * NANOS,
    max_deliver: -1,
    max_waiting: 2,
    deliver_policy: "all",
    replay_policy: "instant",
  };
  const subject = "$JS.API.CONSUMER.CREATE.WORK.all.work.*";
  return ask("a", { subject, payload: { stream_name: "WORK", config, action: "create" }, see: ["name", "error"] });
}

const stored = ["stream", "seq", "duplicate", "error.err_code", "error.description"];

function store(subject: string, payload: string, headers: Readonly<Record<string, string>> = {}): Step {
  return ask("a", { subject, payload, headers, see: stored });
}

function info(name: string, see: readonly string[]): Step {
  return ask("a", { subject: `$JS.API.CONSUMER.INFO.WORK.${name}`, payload: "", see });
}

const FIGURES = [
  "num_pending",
  "num_ack_pending",
  "ack_floor.stream_seq",
  "delivered.consumer_seq",
  "delivered.stream_seq",
];

function pull(batch: number, reply = "inbox.1", expiresMs = 60_000, maxBytes = 0): Step {
  const limit = maxBytes === 0 ? {} : { max_bytes: maxBytes };
  const payload = JSON.stringify({ batch, ...limit, expires: expiresMs * NANOS });
  return publish("a", "$JS.API.CONSUMER.MSG.NEXT.WORK.all", { payload, reply });
}

/** A broker notes an acknowledgement a while after it came. */
const ACKNOWLEDGED: readonly Step[] = [respond("a", "in", "+ACK", "inbox.noted"), until("a", "in: inbox.noted ")];

const BEGIN: readonly Step[] = [connect("a"), subscribe("a", "in", "inbox.*"), create(WORK), settle];

/** Scripts of JetStream. */
export const JETSTREAM: readonly Script[] = [
  {
    title: "a stream refuses a second message of a subject, and more than it may hold",
    jetStream: true,
    steps: [
      ...BEGIN,
      store("work.1", "a"),
      settle,
      store("work.1", "b"),
      settle,
      store("work.2", "a"),
      settle,
      store("work.3", "a"),
      settle,
      store("work.4", "a"),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.INFO.WORK",
        payload: { subjects_filter: "work.*" },
        see: ["state.messages", "state.last_seq", "state.subjects"],
      }),
      settle,
    ],
  },
  {
    title: "a message id is stored once, and the fence asks for the last sequence of the subject",
    jetStream: true,
    steps: [
      ...BEGIN,
      create(LAST),
      settle,
      store("work.1", "a", { "Nats-Msg-Id": "x" }),
      settle,
      store("work.1", "a", { "Nats-Msg-Id": "x" }),
      settle,
      store("last.1", "a", { "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
      store("last.1", "b", { "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
      store("last.1", "c", { "Nats-Expected-Last-Subject-Sequence": "1" }),
      settle,
      store("last.2", "d", { "Nats-Expected-Stream": "WORK" }),
      settle,
    ],
  },
  {
    title: "single messages are read by subject and by sequence, from the leader and from any replica, and deleted",
    jetStream: true,
    steps: [
      ...BEGIN,
      store("work.1", "one"),
      settle,
      store("work.2", "two"),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.MSG.GET.WORK",
        payload: { last_by_subj: "work.2" },
        see: ["message.subject", "message.seq", "message.data"],
      }),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.MSG.GET.WORK",
        payload: { seq: 2, next_by_subj: "work.*" },
        see: ["message.subject", "message.seq"],
      }),
      settle,
      ask("a", { subject: "$JS.API.STREAM.MSG.GET.WORK", payload: { last_by_subj: "work.9" }, see: ERROR }),
      settle,
      ask("a", { subject: "$JS.API.STREAM.MSG.GET.NONE", payload: { seq: 1 }, see: ERROR }),
      settle,
      ask("a", { subject: "$JS.API.DIRECT.GET.WORK.work.1", payload: "", see: [] }),
      settle,
      ask("a", { subject: "$JS.API.DIRECT.GET.WORK", payload: { seq: 2, next_by_subj: "work.*" }, see: [] }),
      settle,
      ask("a", { subject: "$JS.API.DIRECT.GET.WORK.work.9", payload: "", see: [] }),
      settle,
      ask("a", { subject: "$JS.API.STREAM.MSG.DELETE.WORK", payload: { seq: 1, no_erase: true }, see: ["success"] }),
      settle,
      ask("a", { subject: "$JS.API.STREAM.MSG.DELETE.WORK", payload: { seq: 1, no_erase: true }, see: ERROR }),
      settle,
      ask("a", { subject: "$JS.API.STREAM.INFO.NONE", payload: "", see: ERROR }),
      settle,
    ],
  },
  {
    title: "what is stored is told at once under another subject",
    jetStream: true,
    steps: [connect("a"), subscribe("a", "told", "told.*"), create(LAST), settle, store("last.5", "x"), settle],
  },
  {
    title: "what is told again says when it was stored",
    jetStream: true,
    since: [2, 10],
    steps: [
      connect("a"),
      subscribe("a", "told", "told.*"),
      create(LAST),
      settle,
      store("last.5", "x", { Script: "timed" }),
      settle,
    ],
  },
  {
    title:
      "the fence comes before the message id: a message that is sent again is refused once its subject has another",
    jetStream: true,
    since: [2, 15],
    steps: [
      connect("a"),
      create(LAST),
      settle,
      store("last.1", "a", { "Nats-Msg-Id": "x", "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
      store("last.1", "a", { "Nats-Msg-Id": "x", "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
      store("last.1", "a", { "Nats-Msg-Id": "x", "Nats-Expected-Last-Subject-Sequence": "1" }),
      settle,
      store("last.1", "b", { "Nats-Msg-Id": "y", "Nats-Expected-Last-Subject-Sequence": "1" }),
      settle,
    ],
  },
  {
    title: "a message is deleted by its sequence, and the fence of its subject is 0 again",
    jetStream: true,
    steps: [
      connect("a"),
      create(LAST),
      settle,
      store("last.1", "a", { "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.MSG.DELETE.LAST",
        payload: { seq: 1, no_erase: true },
        see: ["success", "error.err_code"],
      }),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.MSG.DELETE.LAST",
        payload: { seq: 1, no_erase: true },
        see: ["success", "error.err_code"],
      }),
      settle,
      store("last.1", "b", { "Nats-Expected-Last-Subject-Sequence": "1" }),
      settle,
      store("last.1", "c", { "Nats-Expected-Last-Subject-Sequence": "0" }),
      settle,
    ],
  },
  {
    title: "a pull brings what waits and what comes, and an acknowledged message leaves its stream",
    jetStream: true,
    steps: [
      ...BEGIN,
      consumer(30_000),
      settle,
      store("work.1", "one"),
      settle,
      store("work.2", "two"),
      settle,
      pull(3),
      settle,
      ...ACKNOWLEDGED,
      info("all", FIGURES),
      settle,
      store("work.3", "three"),
      settle,
      ask("a", {
        subject: "$JS.API.STREAM.INFO.WORK",
        payload: { subjects_filter: "work.*" },
        see: ["state.subjects"],
      }),
      settle,
    ],
    // A message of an open pull, and the acknowledgement of its store, go different ways.
    view: bySubscription,
  },
  {
    title: "what is given back comes again, at once or later, and so does what nobody speaks of",
    jetStream: true,
    steps: [
      ...BEGIN,
      consumer(1_000),
      settle,
      store("work.1", "one"),
      settle,
      pull(4),
      settle,
      respond("a", "in", "-NAK"),
      until("a", "in: work.1 one delivery 2 of 1, 2 of all at WORK, 0 pending"),
      respond("a", "in", `-NAK {"delay": ${300 * NANOS}}`),
      until("a", "in: work.1 one delivery 3 of 1, 3 of all at WORK, 0 pending"),
      until("a", "in: work.1 one delivery 4 of 1, 4 of all at WORK, 0 pending"),
      ...ACKNOWLEDGED,
      info("all", FIGURES),
      settle,
    ],
  },
  {
    title: "a pull ends with its time, and too many pulls at once are refused",
    jetStream: true,
    steps: [
      ...BEGIN,
      consumer(30_000),
      settle,
      pull(1, "inbox.1"),
      pull(1, "inbox.2"),
      settle,
      pull(1, "inbox.3", 1_000),
      settle,
    ],
  },
  {
    title: "a pull that waits too long hears so",
    jetStream: true,
    steps: [...BEGIN, consumer(30_000), settle, pull(1, "inbox.1", 300), until("a", "in: inbox.1 status 408"), settle],
  },
  {
    title: "a pull with a limit of bytes hears when it has brought all that it asked for, and one without does not",
    jetStream: true,
    since: [2, 15],
    steps: [
      ...BEGIN,
      consumer(30_000),
      settle,
      store("work.1", "one"),
      settle,
      store("work.2", "two"),
      settle,
      pull(1),
      settle,
      pull(1, "inbox.2", 60_000, 1_000),
      settle,
    ],
  },
  {
    title: "what is larger than the limit of bytes of a pull ends it, and goes to the next one",
    jetStream: true,
    steps: [
      ...BEGIN,
      consumer(30_000),
      settle,
      store("work.1", "x".repeat(300)),
      settle,
      pull(2, "inbox.1", 60_000, 250),
      settle,
      // Stored before the pull: the acknowledgement and the end of the pull go different ways.
      store("work.2", "y".repeat(900)),
      settle,
      pull(2, "inbox.2", 60_000, 1_000),
      settle,
      pull(1, "inbox.3"),
      settle,
    ],
  },
  {
    title: "a broker that was killed has what it had stored, and no open pull",
    jetStream: true,
    steps: [
      ...BEGIN,
      consumer(30_000),
      settle,
      pull(1),
      settle,
      broker(0, "kill"),
      until("a", "disconnect b0"),
      start(0),
      until("a", "reconnect b0"),
      store("work.1", "one"),
      settle,
      info("all", FIGURES),
      settle,
      pull(1, "inbox.2"),
      settle,
    ],
  },
];
