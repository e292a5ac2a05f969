/** Headers and answers of JetStream as bytes: read, added, and made. Pure. */
import { type Message, plainMessage } from "../../wire/commands.js";

const START = "NATS/1.0";
const END = "\r\n\r\n";

/** The value of a header; undefined without it. */
export function headerOf({ bytes, headerBytes }: Message, name: string): string | undefined {
  if (headerBytes === 0) return undefined;
  for (const line of Buffer.from(bytes.subarray(0, headerBytes)).toString().split("\r\n")) {
    if (line.startsWith(`${name}:`)) return line.slice(name.length + 1).trim();
  }
  return undefined;
}

/** The payload of a message as text. */
export function payloadText({ bytes, headerBytes }: Message): string {
  return Buffer.from(bytes.subarray(headerBytes)).toString();
}

/** The same content under another subject, with these headers besides its own. */
export function withHeaders(
  { bytes, headerBytes }: Pick<Message, "bytes" | "headerBytes">,
  subject: string,
  added: Readonly<Record<string, string>>,
): Message {
  const own = headerBytes === 0 ? START : Buffer.from(bytes.subarray(0, headerBytes - END.length)).toString();
  const lines = Object.entries(added).map(([name, value]) => `\r\n${name}: ${value}`);
  const block = Buffer.from(own + lines.join("") + END);
  return { subject, reply: "", bytes: Buffer.concat([block, bytes.subarray(headerBytes)]), headerBytes: block.length };
}

/** A message that says how a request ended, such as 408. */
export function statusMessage(subject: string, code: number, text: string): Message {
  const bytes = Buffer.from(`${START} ${code} ${text}${END}`);
  return { subject, reply: "", bytes, headerBytes: bytes.length };
}

/** An answer of the API. */
export function jsonMessage(subject: string, content: object): Message {
  return plainMessage(subject, "", Buffer.from(JSON.stringify(content)));
}

/** What the API refuses with. */
export class ApiError {
  constructor(
    /** Like a status of HTTP. */
    readonly code: number,
    readonly err_code: number,
    readonly description: string,
  ) {}
}
