import { bySubscription, connect, flush, info, publish, type Script, settle, subscribe, together } from "../script.js";

/** What travels, to whom, in which order. */
export const MESSAGES: readonly Script[] = [
  {
    title: "every plain subscriber gets every message, in the order of its publisher, and so does the publisher itself",
    steps: [
      connect("a"),
      connect("b"),
      subscribe("a", "a1", "x"),
      subscribe("a", "a2", "x"),
      subscribe("b", "b1", "x"),
      flush("a"),
      settle,
      publish("b", "x", { times: 50 }),
      settle,
    ],
    view: bySubscription,
  },
  {
    title: "a wildcard stands for one token, or for the rest",
    steps: [
      connect("a"),
      connect("b"),
      subscribe("a", "one", "x.*.z"),
      subscribe("a", "rest", "x.>"),
      subscribe("a", "all", ">"),
      subscribe("a", "last", "x.*"),
      subscribe("a", "literal", "x.y.z"),
      flush("a"),
      settle,
      ...["x", "x.y", "x.y.z", "x.yy.z", "x.y.z.more", "xx.y.z", "y.x"].map((subject) => publish("b", subject)),
      settle,
    ],
    view: together,
  },
  {
    title: "reply subjects, headers, and payloads that are empty or large travel as they are",
    steps: [
      connect("a"),
      connect("b"),
      subscribe("a", "a1", "x"),
      flush("a"),
      settle,
      publish("b", "x", { reply: "somewhere" }),
      publish("b", "x", { payload: "with a header", header: "value" }),
      publish("b", "x", { header: "alone" }),
      publish("b", "x", { bytes: 200_000 }),
      settle,
    ],
  },
  {
    title: "a flush ends after what was published before it has come back",
    steps: [connect("a"), subscribe("a", "a1", "x"), publish("a", "x", { times: 5 }), flush("a"), settle],
  },
  {
    title: "headers and payload together may be as large as max_payload, and not a byte more",
    maxPayload: 1_000,
    steps: [
      connect("a"),
      info("a"),
      subscribe("a", "a1", "x"),
      publish("a", "x", { bytes: 1_000 }),
      publish("a", "x", { bytes: 1_001 }),
      publish("a", "x", { bytes: 1_000, header: "one" }),
      publish("a", "x", { bytes: 970, header: "one" }),
      settle,
    ],
  },
];
