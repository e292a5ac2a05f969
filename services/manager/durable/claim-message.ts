/** The message that says that a job which may run once is about to run. Pure. */
import { type DurableNames, NATS_HEADER } from "../../../mesh/durable/names.js";
import type { StreamMessage } from "../../../mesh/durable/publisher.js";
import { encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";

/** Whose claim it is. */
export interface ClaimFacts {
  readonly pool: string;
  /** The job's id. */
  readonly id: string;
  /** Who claims it. */
  readonly manager: string;
  /** The job's sequence in its stream. */
  readonly sequence: number;
  readonly deliveries: number;
}

const EMPTY = new Uint8Array();

/** @param fence it is stored only when this is the sequence of the last claim with this id, 0 for none */
export function claimMessage(names: DurableNames, facts: ClaimFacts, fence: number): StreamMessage {
  const { pool, id, manager, sequence, deliveries } = facts;
  const headers = encodeReplyHeaders({ kind: "accepted", attempt: deliveries });
  headers.append(HEADER.manager, manager);
  headers.append(HEADER.sequence, String(sequence));
  headers.append(NATS_HEADER.expectedLastSubjectSequence, String(fence));
  return { subject: names.claim(pool, id), headers, payload: EMPTY };
}
