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
 * @throws PoolError `not_found` when nobody listens, `deadline_exceeded` when it does not answer,
 * `canceled`, `bus_unavailable`, or what the worker refused
 */
export function askControl(
  bus: Bus,
  { inbox, subjects }: { readonly inbox: Inbox; readonly subjects: Subjects },
  question: ControlQuestion,
): Promise<ControlResponse> {
  const { pool, worker, request, limitMs, signal } = question;
  const subject = subjects.control(pool, worker);
  const payload = toBinary(ControlRequestSchema, create(ControlRequestSchema, { op: request }));
  bus.requireConnected();
  return new Promise((resolve, reject) => {
    const settle = (work: () => void): void => {
      bus.runtime.cancel(timer);
      signal?.removeEventListener("abort", onAbort);
      inbox.close(token);
      try {
        work();
      } catch (error) {
        reject(error);
      }
    };
    const onAbort = (): void => settle(() => reject(new PoolError("canceled", "the caller gave up")));
    const onLimit = (): void =>
      settle(() => reject(new PoolError("deadline_exceeded", `worker ${worker} did not answer in time`)));
    const timer = bus.runtime.after(limitMs, onLimit);
    const token = inbox.open({ onReply: (msg) => settle(() => resolve(decodeControlReply(worker, msg))) });
    signal?.addEventListener("abort", onAbort);
    bus.publish(subject, payload, { reply: inbox.subject(token) });
  });
}
