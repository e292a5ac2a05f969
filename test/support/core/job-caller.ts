/** Speaks to workers as a manager does, one message at a time, and shows every reply. */
import type { MsgHdrs } from "nats";
import type { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Inbox } from "../../../mesh/link/inbox.js";
import { encodeRevocation } from "../../../mesh/wire/cancel-messages.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import {
  decodeReplyHeaders,
  encodeJobHeaders,
  type JobHeaders,
  type ReplyHeaders,
} from "../../../mesh/wire/headers.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import type { Reply } from "../../../mesh/wire/wire-headers.js";
import { eventually } from "../wait.js";

/** One reply. */
export interface SeenReply extends ReplyHeaders {
  readonly data: Uint8Array;
  readonly text: string;
  readonly error: PoolError | undefined;
}

/** One job that was sent, and what came back so far. */
export class SentJob {
  readonly replies: SeenReply[] = [];

  /** The first reply of this kind. */
  first(kind: ReplyHeaders["kind"]): Promise<SeenReply> {
    return eventually(() => this.replies.find((each) => each.kind === kind), { what: `a reply that is ${kind}` });
  }

  /** The result or error. */
  outcome(): Promise<SeenReply> {
    return eventually(() => this.outcomes()[0], { what: "an outcome" });
  }

  /** All results and errors. */
  outcomes(): SeenReply[] {
    return this.replies.filter((each) => each.kind === "result" || each.kind === "error");
  }
}

/** What to send besides the job's headers. */
export interface SendOptions extends JobHeaders {
  /** An assignment to this worker instead of an offer to the pool. */
  to?: string;
  /** Show it when a worker with room does not trust an offer after a stall, instead of sending it again; default false. */
  once?: boolean;
}

export class JobCaller {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly #inbox: Inbox;
  readonly #pool: string;

  constructor(bus: Bus, pool: string, prefix?: string) {
    this.bus = bus;
    this.subjects = new Subjects(prefix);
    this.#inbox = new Inbox(bus);
    this.#pool = pool;
  }

  /** Sends a job with `Pool-Offer` unless told otherwise. */
  send(payload: Uint8Array | string, options: SendOptions = {}): SentJob {
    const { to, once = false, ...headers } = options;
    const subject = to === undefined ? this.subjects.job(this.#pool) : this.subjects.jobFor(this.#pool, to);
    return this.#publish(subject, payload, encodeJobHeaders({ offer: true, ...headers }), once);
  }

  /** Sends a job without any header, as `nats req` does. */
  sendPlain(payload: string): SentJob {
    return this.#publish(this.subjects.job(this.#pool), payload, undefined);
  }

  /** Cancels a job, or revokes attempts up to `upToAttempt`; shows who answers. */
  cancel(job: string, upToAttempt?: number): SentJob {
    const headers = upToAttempt === undefined ? undefined : encodeRevocation({ nonce: undefined, upToAttempt });
    return this.#publish(this.subjects.cancel(this.#pool, job), "", headers);
  }

  /** Sends a control request to one worker, or to the pool. */
  control(request: Uint8Array | string, worker?: string): SentJob {
    const subject =
      worker === undefined ? this.subjects.controlAll(this.#pool) : this.subjects.control(this.#pool, worker);
    return this.#publish(subject, request, undefined);
  }

  #publish(subject: string, payload: Uint8Array | string, headers: MsgHdrs | undefined, once = false): SentJob {
    const sent = new SentJob();
    const data = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const publish = (): void => {
      this.bus.publish(subject, data, {
        reply: this.#inbox.subject(token),
        ...(headers === undefined ? {} : { headers }),
      });
    };
    const token = this.#inbox.open({
      onReply: (msg) => {
        const reply = seen(msg);
        if (reply.kind === "busy" && reply.free !== 0 && !once) publish();
        else sent.replies.push(reply);
      },
    });
    publish();
    return sent;
  }
}

function seen(msg: Reply): SeenReply {
  const headers = decodeReplyHeaders(msg.headers);
  const error = headers.kind === "error" && msg.headers !== undefined ? readErrorHeaders(msg.headers) : undefined;
  return { ...headers, data: msg.data, text: new TextDecoder().decode(msg.data), error };
}
