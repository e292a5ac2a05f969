/** Asks one worker something on its control subject and waits for its answer. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ControlRequestSchema, type ControlResponse } from "../../gen/poolmesh/v1/control_pb.js";
import { PoolError } from "../errors.js";
import { decodeControlReply } from "../wire/control-messages.js";
import type { Subjects } from "../wire/subjects.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** One question. */
export interface ControlQuestion {
  readonly pool: string;
  readonly worker: string;
  readonly request: NonNullable<MessageInitShape<typeof ControlRequestSchema>["op"]>;
  /** How long the worker has to answer, in milliseconds. */
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

/**
 * @throws PoolError `not_found` when nobody listens, `deadline_exceeded` when the worker does not answer,
 * `canceled`, `bus_unavailable`, or what the worker refused
 */
export async function askControl(
  bus: Bus,
  { inbox, subjects }: { readonly inbox: Inbox; readonly subjects: Subjects },
  { pool, worker, request, limitMs, signal }: ControlQuestion,
): Promise<ControlResponse> {
  const subject = subjects.control(pool, worker);
  const payload = toBinary(ControlRequestSchema, create(ControlRequestSchema, { op: request }));
  bus.requireConnected();
  const answer = await inbox.ask({ subject, payload, limitMs, signal });
  if (answer.kind === "reply") return decodeControlReply(worker, answer.msg);
  if (answer.kind === "absent") {
    throw new PoolError("not_found", `worker ${worker} is not there`, { field: "worker" });
  }
  if (signal?.aborted) throw new PoolError("canceled", "the caller gave up");
  throw new PoolError("deadline_exceeded", `worker ${worker} did not answer in time`);
}
