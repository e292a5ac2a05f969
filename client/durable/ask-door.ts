/** Asks one manager to change something of a pool's durable lane that managers keep, and reads its answer. */
import type { MsgHdrs } from "nats";
import { PoolError } from "../../mesh/errors.js";
import { parseJson } from "../../mesh/job/codec.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { readErrorHeaders } from "../../mesh/wire/error-headers.js";
import { HEADER } from "../../mesh/wire/headers.js";
import { payloadLimit } from "../../mesh/wire/payloads.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";

/** Who asks, and about what. */
export interface DoorAsker {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly pool: string;
  /** What managers keep, in words: "cron schedules". */
  readonly what: string;
}

/** A question. */
export interface DoorQuestion {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
}

const ANSWER_LIMIT_MS = 10_000;

/**
 * Asks.
 *
 * @returns the answer's JSON
 * @throws PoolError what the manager refuses, `payload_too_large` before anything leaves, `unknown_pool`, `bus_unavailable`
 */
export async function askDoor({ bus, inbox, pool, what }: DoorAsker, question: DoorQuestion): Promise<unknown> {
  bus.requireConnected();
  const [bytes, limit] = [question.payload.length, payloadLimit(bus)];
  if (bytes > limit) {
    throw new PoolError("payload_too_large", `payload: ${bytes} bytes, the broker takes ${limit}`, {
      field: "payload",
    });
  }
  const answer = await inbox.ask({ ...question, limitMs: ANSWER_LIMIT_MS });
  if (answer.kind === "absent") {
    const message = `no manager with --durable serves pool ${pool}; ${what} are kept by a manager`;
    throw new PoolError("unknown_pool", message, { field: "pool", retryAfterMs: 1_000 });
  }
  if (answer.kind === "silent") {
    const message = "no answer from a manager; ask again, which changes nothing that is done";
    throw new PoolError("bus_unavailable", message, { maybeExecuted: true, retryAfterMs: 1_000 });
  }
  const said = headersOf(answer.msg);
  if (said?.get(HEADER.error)) throw readErrorHeaders(said);
  try {
    return parseJson(Buffer.from(answer.msg.data).toString());
  } catch {
    throw new PoolError("internal", "the answer is none of a manager with the durable lane");
  }
}
