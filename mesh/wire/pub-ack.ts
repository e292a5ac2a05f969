/**
 * A JetStream stream that captures a subject answers each request on it with its
 * acknowledgement. It looks like an answer and is none. Pure.
 */
import type { Reply } from "./reply.js";

/** No acknowledgement is longer, in bytes. */
const MAX_BYTES = 1_024;
const BRACE = 0x7b;

/** The name of the stream whose acknowledgement this is; undefined when it is none. */
export function streamOf({ data }: Pick<Reply, "data">): string | undefined {
  if (data.length > MAX_BYTES || data[0] !== BRACE) return undefined;
  try {
    const { stream, seq } = JSON.parse(Buffer.from(data).toString()) as { stream?: unknown; seq?: unknown };
    return typeof stream === "string" && typeof seq === "number" ? stream : undefined;
  } catch {
    return undefined;
  }
}
