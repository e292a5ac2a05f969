/** A manager that a test plays: it hears submissions, and answers when it is told to. */
import type { Msg } from "nats";
import type { Bus } from "../../../mesh/link/bus.js";
import { encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { QUEUE_MANAGERS } from "../../../mesh/wire/subjects.js";

/** Serves a pool; resolves with the list that its submissions are added to. */
export async function playManager(bus: Bus, pool: string): Promise<Msg[]> {
  const heard: Msg[] = [];
  bus.subscribe(`pool.${pool}.submit`, (msg) => heard.push(msg), QUEUE_MANAGERS);
  await bus.flush();
  return heard;
}

/** Answers a submission; a result is 7. @param manager its id */
export function answerAs(bus: Bus, { reply, headers }: Msg, kind: "accepted" | "result", manager = "m1"): void {
  const jobId = headers?.get(HEADER.jobId) ?? "";
  const said = encodeReplyHeaders({ kind, jobId, attempt: 1, worker: "w1", manager });
  bus.publish(reply ?? "", Buffer.from("7"), { headers: said });
}
