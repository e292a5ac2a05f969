/**
 * The control subjects of a worker: its own, and that of its pool.
 *
 * Decided here: which request leads to what, and who is answered. A request to
 * the whole pool is answered only when it asks for an answer by its reply
 * subject and is neither a roll call nor a pace.
 */

import { create } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import { type ControlRequest, type ControlResponse, ControlResponseSchema } from "../../gen/poolmesh/v1/control_pb.js";
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { type Ages, clockOf } from "../../mesh/wire/ages.js";
import { type ControlForm, decodeControl, encodeControl } from "../../mesh/wire/control-codec.js";
import { encodeReplyHeaders, HEADER } from "../../mesh/wire/headers.js";
import { headersOf, senderOf } from "../../mesh/wire/wire-headers.js";
import type { HeartbeatPace } from "./heartbeat.js";
import { controlErrorReply } from "./replies.js";

/** Which submission a manager asks for. */
export interface SubmissionName {
  readonly id: string;
  /** "" when its id is its own. */
  readonly nonce: string;
}

/** What a worker does when it is told to. */
export interface ControlActions {
  /** Resolves when the worker is empty, before it ends. */
  drain(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  resize(slots: number): void;
  rollCall(): void;
  setPace(pace: HeartbeatPace): void;
  /** Sends kept results again. For each of the submissions: whether the worker knows it, running or finished. */
  resend(submissions: readonly SubmissionName[]): readonly boolean[];
  /** For each of the submissions of the durable lane: whether a later attempt would join it here. */
  has(submissions: readonly SubmissionName[]): readonly boolean[];
  snapshot(): Heartbeat;
}

export class Control {
  readonly #bus: Bus;
  readonly #worker: string;
  readonly #actions: ControlActions;
  readonly #ages: Ages;

  /** @param ages learns how far away a manager is from what it asks */
  constructor(bus: Bus, worker: string, actions: ControlActions, ages: Ages) {
    this.#bus = bus;
    this.#ages = ages;
    this.#worker = worker;
    this.#actions = actions;
  }

  /** Takes a control message. Never throws. */
  readonly receive = (msg: Msg): void => {
    const clockMs = clockOf(headersOf(msg));
    if (clockMs !== undefined && msg.reply) this.#ages.of(senderOf(msg.reply), clockMs, this.#bus.runtime.now());
    void this.#receive(msg);
  };

  async #receive(msg: Msg): Promise<void> {
    let form: ControlForm = "json";
    try {
      const decoded = decodeControl(msg.data, headersOf(msg)?.get(HEADER.contentType) === "application/json");
      form = decoded.form;
      const { request } = decoded;
      // What takes no time is answered before the next message is read: managers rely on the order of a worker's words.
      const change = this.#change(request);
      if (change !== undefined) await change;
      const response = this.#respond(request);
      if (response !== undefined) this.#answer(msg, encodeControl(response, form), form);
    } catch (thrown) {
      if (!this.#bus.mayAnswer(msg.reply)) return;
      const { payload, headers } = controlErrorReply(this.#worker, toPoolError(thrown));
      this.#bus.publish(msg.reply, payload, { headers });
    }
  }

  /** Changes the worker's state; a promise when that takes time. */
  #change({ op }: ControlRequest): Promise<void> | undefined {
    switch (op.case) {
      case "drain":
        return this.#drain(op.value.wait);
      case "pause":
        return this.#actions.pause();
      case "resume":
        return this.#actions.resume();
      default:
        return undefined;
    }
  }

  #respond({ op }: ControlRequest): ControlResponse | undefined {
    switch (op.case) {
      case "drain":
      case "pause":
      case "resume":
        break;
      case "resize":
        this.#actions.resize(op.value.slots);
        break;
      case "probe":
        break;
      case "rollCall":
        this.#actions.rollCall();
        return undefined;
      case "pace":
        this.#actions.setPace(op.value);
        return undefined;
      case "owed":
        return this.#known(op.value.jobIds, op.value.nonces, (asked) => this.#actions.resend(asked));
      case "locate":
        return this.#known(op.value.jobIds, op.value.nonces, (asked) => this.#actions.has(asked));
      default:
        throw new PoolError("invalid_argument", "control: op is missing", { field: "control" });
    }
    return create(ControlResponseSchema, { worker: this.#actions.snapshot() });
  }

  async #drain(wait: boolean): Promise<void> {
    const emptied = this.#actions.drain();
    if (wait) await emptied;
  }

  #known(jobIds: readonly string[], nonces: readonly string[], isKnown: ControlActions["has"]): ControlResponse {
    const known = isKnown(jobIds.map((id, i) => ({ id, nonce: nonces[i] ?? "" })));
    return create(ControlResponseSchema, {
      worker: this.#actions.snapshot(),
      knownJobIds: jobIds.filter((_, i) => known[i]),
      unknownJobIds: jobIds.filter((_, i) => !known[i]),
    });
  }

  #answer(msg: Msg, payload: Uint8Array, form: ControlForm): void {
    if (!this.#bus.mayAnswer(msg.reply)) return;
    const headers = encodeReplyHeaders({ kind: "result", worker: this.#worker });
    if (form === "json") headers.append(HEADER.contentType, "application/json");
    this.#bus.publish(msg.reply, payload, { headers });
  }
}
