/** One message of the kit that expects replies, and every reply that came so far. */

import type { PoolError } from "../../mesh/errors.js";
import type { Runtime } from "../../mesh/link/runtime.js";
import { plainText } from "../../mesh/plain-text.js";
import { readErrorHeaders } from "../../mesh/wire/error-headers.js";
import { decodeReplyHeaders, type ReplyHeaders } from "../../mesh/wire/headers.js";
import type { BundledResult } from "../../mesh/wire/payloads.js";
import { headersOf, isNoResponders, type Reply } from "../../mesh/wire/wire-headers.js";
import { Waiting } from "./waiting.js";

/** One reply. */
export interface SeenReply extends ReplyHeaders {
  readonly data: Uint8Array;
  readonly text: string;
  /** Of an error, as its headers say it. */
  readonly error: PoolError | undefined;
  /** How long after the message it came, in milliseconds. */
  readonly afterMs: number;
  /** A header; "" when it is missing. */
  header(name: string): string;
}

/** The longest text of a reply that is shown. */
const SHOWN_LENGTH = 60;

export class SentJob {
  readonly id: string;
  readonly replies: SeenReply[] = [];
  /** The broker said that nobody listens at the subject. */
  nobodyListens = false;
  /** Asked at each `busy`: true when the job was sent again, so that the refusal does not count. */
  onRefusal: (refusal: ReplyHeaders) => boolean = () => false;
  readonly #runtime: Runtime;
  #sentAtMs: number;
  readonly #waiting: Waiting;

  constructor(id: string, runtime: Runtime) {
    this.id = id;
    this.#runtime = runtime;
    this.#sentAtMs = runtime.now();
    this.#waiting = new Waiting(runtime);
  }

  /** The results and errors. */
  get outcomes(): SeenReply[] {
    return this.replies.filter(({ kind }) => kind === "result" || kind === "error");
  }

  /** Takes a reply. */
  heard(msg: Reply): void {
    if (isNoResponders(msg)) this.nobodyListens = true;
    else {
      const headers = decodeReplyHeaders(headersOf(msg));
      if (headers.kind !== "busy" || !this.onRefusal(headers)) this.#add(headers, msg);
      else this.#sentAtMs = this.#runtime.now();
    }
    this.#waiting.wake();
  }

  /** Takes a result that came in a bundle. */
  heardBundled({ id, attempt, payload }: BundledResult, { worker, free }: ReplyHeaders): void {
    this.#add(
      { kind: "result", jobId: id, attempt, free, ...(worker === undefined ? {} : { worker }) },
      { data: payload },
    );
    this.#waiting.wake();
  }

  /** The first reply of this kind; undefined when none came in `limitMs` milliseconds, or nobody listens. */
  first(kind: ReplyHeaders["kind"], limitMs: number): Promise<SeenReply | undefined> {
    return this.#until(() => this.replies.find((each) => each.kind === kind), limitMs);
  }

  /** The first reply of any kind. */
  any(limitMs: number): Promise<SeenReply | undefined> {
    return this.#until(() => this.replies[0], limitMs);
  }

  /** The result or error. */
  outcome(limitMs: number): Promise<SeenReply | undefined> {
    return this.#until(() => this.outcomes[0], limitMs);
  }

  /** What came, for a person. */
  get summary(): string {
    if (this.nobodyListens) return "nobody listens there";
    if (this.replies.length === 0) return "no answer";
    return this.replies.map(described).join(", then ");
  }

  #add(headers: ReplyHeaders, { headers: raw, data }: Partial<Reply> & Pick<Reply, "data">): void {
    this.replies.push({
      ...headers,
      data,
      text: Buffer.from(data).toString(),
      error: headers.kind === "error" && raw !== undefined ? readErrorHeaders(raw) : undefined,
      afterMs: this.#runtime.now() - this.#sentAtMs,
      header: (name) => raw?.get(name) ?? "",
    });
  }

  /** "Nobody listens" ends the wait too. */
  async #until<T>(pick: () => T | undefined, limitMs: number): Promise<T | undefined> {
    const found = await this.#waiting.until(() => pick() ?? (this.nobodyListens ? "nobody" : undefined), limitMs);
    return found === "nobody" ? undefined : (found as T | undefined);
  }
}

/** One reply for a person, such as "error deadline_exceeded". */
export function described({ kind, bare, error, text, header }: SeenReply): string {
  if (kind === "unknown") return `the unknown kind ${JSON.stringify(plainText(header("Pool-Reply"), SHOWN_LENGTH))}`;
  if (error !== undefined) return `error ${header("Pool-Error") || "without Pool-Error"}`;
  const shown = kind === "result" ? ` ${JSON.stringify(plainText(text, SHOWN_LENGTH))}` : "";
  return `${bare ? "bare " : ""}${kind}${shown}`;
}
