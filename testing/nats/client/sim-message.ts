/**
 * A message as a client gets it: nats.js' message with its raw bytes, so that
 * the mesh's fast header reader runs on them as it does on real ones.
 */
import { headers, type Msg, type MsgHdrs, MsgHdrsImpl, type Payload, type PublishOptions } from "nats";
import type { Message } from "../wire/commands.js";

/** Whom a message is answered through. */
export interface Responder {
  publish(subject: string, payload?: Payload, options?: PublishOptions): void;
}

const decoder = new TextDecoder();

/** A delivered message. */
export class SimMessage implements Msg {
  readonly subject: string;
  readonly reply: string;
  readonly sid: number;
  /** As nats.js has it: the length of the header block, -1 without one. */
  readonly _msg: { readonly hdr: number };
  /** As nats.js has it: header block and payload. */
  readonly _rdata: Uint8Array;
  readonly #responder: Responder;
  #headers: MsgHdrs | undefined;

  constructor({ subject, reply, bytes, headerBytes }: Message, sid: number, responder: Responder) {
    this.subject = subject;
    this.reply = reply;
    this.sid = sid;
    this._msg = { hdr: headerBytes > 0 ? headerBytes : -1 };
    // Each receiver has its own copy, as if it had been read from a socket.
    this._rdata = bytes.slice();
    this.#responder = responder;
  }

  get data(): Uint8Array {
    return this._msg.hdr > 0 ? this._rdata.subarray(this._msg.hdr) : this._rdata;
  }

  get headers(): MsgHdrs | undefined {
    if (this._msg.hdr <= 0) return undefined;
    this.#headers ??= decodeHeaders(this._rdata.subarray(0, this._msg.hdr));
    return this.#headers;
  }

  respond(payload?: Payload, options?: PublishOptions): boolean {
    if (this.reply === "") return false;
    this.#responder.publish(this.reply, payload, options);
    return true;
  }

  string(): string {
    return decoder.decode(this.data);
  }

  json<T>(reviver?: Parameters<typeof JSON.parse>[1]): T {
    return JSON.parse(this.string(), reviver) as T;
  }
}

function decodeHeaders(block: Uint8Array): MsgHdrs {
  return MsgHdrsImpl.decode(block) ?? headers();
}
