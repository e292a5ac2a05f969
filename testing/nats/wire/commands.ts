/**
 * What travels between a client and a broker, one object for each protocol line.
 *
 * The names are NATS' own: PUB and HPUB are one command here, and so are MSG and HMSG.
 */

/** A message in the form in which it travels: its header block (if any) and its payload in one array of bytes. */
export interface Message {
  readonly subject: string;
  /** Where it is sent, when that is not its subject: a stream's message keeps its own. */
  readonly to?: string;
  /** "" when there is none. */
  readonly reply: string;
  /** Header block and payload; nobody writes to it. */
  readonly bytes: Uint8Array;
  /** Length of the header block at the beginning of `bytes`; 0 without headers. */
  readonly headerBytes: number;
}

/** The fields of INFO that a client reads. */
export interface Info {
  readonly server_name: string;
  readonly max_payload: number;
  readonly headers: boolean;
  readonly connect_urls?: string[];
  readonly ldm?: boolean;
}

/** What a client sends. `open` is TCP's SYN, `end` its FIN or RST. */
export type ToBroker =
  | { readonly op: "open" }
  | { readonly op: "connect" }
  | { readonly op: "ping" }
  | { readonly op: "pong" }
  | { readonly op: "sub"; readonly sid: number; readonly subject: string; readonly queue: string | undefined }
  | { readonly op: "unsub"; readonly sid: number; readonly max: number | undefined }
  | { readonly op: "pub"; readonly message: Message }
  | { readonly op: "end" };

/** What a broker sends. `refused` is TCP's answer where nobody listens. */
export type ToClient =
  | { readonly op: "info"; readonly info: Info }
  | { readonly op: "ping" }
  | { readonly op: "pong" }
  | { readonly op: "msg"; readonly sid: number; readonly message: Message }
  | { readonly op: "err"; readonly text: string }
  | { readonly op: "refused" }
  | { readonly op: "end" };

/** Commands without content, made once. */
export const PING = { op: "ping" } as const;
export const PONG = { op: "pong" } as const;
export const OPEN = { op: "open" } as const;
export const CONNECT = { op: "connect" } as const;
export const REFUSED = { op: "refused" } as const;
export const END = { op: "end" } as const;

/** About how many bytes a command's line has besides subjects and content. */
const LINE_BYTES = 16;

/** The bytes of a command on the wire, about. */
export function wireBytes(command: ToBroker | ToClient): number {
  if (command.op !== "pub" && command.op !== "msg") return LINE_BYTES;
  const { subject, reply, bytes } = command.message;
  return LINE_BYTES + subject.length + reply.length + bytes.length;
}

const NO_BYTES = new Uint8Array(0);

/** A message with a payload and no headers. */
export function plainMessage(subject: string, reply: string, payload: Uint8Array = NO_BYTES): Message {
  return { subject, reply, bytes: payload, headerBytes: 0 };
}
