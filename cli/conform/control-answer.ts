/** Questions at a worker's control subject, and what its answers are. */
import type { ControlResponse } from "../../gen/poolmesh/v1/control_pb.js";
import type { PoolError } from "../../mesh/errors.js";
import { decodeControlResponse } from "../../mesh/wire/control-messages.js";
import { readErrorHeaders } from "../../mesh/wire/error-headers.js";
import { decodeReplyHeaders } from "../../mesh/wire/headers.js";
import type { Link } from "../link.js";
import type { Target } from "./target.js";

/** How long a worker has to answer, in milliseconds. */
const LIMIT_MS = 2_000;
const BRACE = 0x7b;

/** How a worker answered a control request. */
export interface ControlAnswer {
  /** "absent": nobody listens. "silent": no answer in two seconds. "malformed": neither protobuf, JSON nor empty. */
  readonly form: "absent" | "silent" | "empty" | "protobuf" | "json" | "error" | "malformed";
  /** With "protobuf" and "json". */
  readonly response: ControlResponse | undefined;
  /** With "error". */
  readonly error: PoolError | undefined;
}

export class ControlAsker {
  readonly #link: Link;
  readonly #target: Target;

  constructor(link: Link, target: Target) {
    this.#link = link;
    this.#target = target;
  }

  /** Asks the worker. Never rejects. @param request protobuf, or JSON or a word as text */
  async ask(request: Uint8Array | string): Promise<ControlAnswer> {
    const { inbox, subjects } = this.#link;
    const subject = subjects.control(this.#target.pool, this.#target.worker);
    const payload = typeof request === "string" ? new TextEncoder().encode(request) : request;
    const answer = await inbox.ask({ subject, payload, limitMs: LIMIT_MS });
    if (answer.kind !== "reply") return { form: answer.kind, response: undefined, error: undefined };
    const { headers, data } = answer.msg;
    if (headers !== undefined && decodeReplyHeaders(headers).kind === "error") {
      return { form: "error", response: undefined, error: readErrorHeaders(headers) };
    }
    if (data.length === 0) return { form: "empty", response: undefined, error: undefined };
    const response = decodeControlResponse(answer.msg);
    if (response === undefined) return { form: "malformed", response, error: undefined };
    return { form: data[0] === BRACE ? "json" : "protobuf", response, error: undefined };
  }
}

/** An answer for a person. */
export function answerText({ form, error }: ControlAnswer): string {
  switch (form) {
    case "absent":
      return "nobody listens at its control subject";
    case "silent":
      return "no answer within 2 s";
    case "empty":
      return "an empty answer";
    case "error":
      return `the error ${error?.reason}`;
    case "malformed":
      return "an answer that is no ControlResponse";
    default:
      return `an answer in ${form === "json" ? "JSON" : "protobuf"}`;
  }
}
