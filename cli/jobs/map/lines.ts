/**
 * Lines of a byte stream, as they come.
 *
 * Memory is bounded by one line, and a line by a limit. A line ends with LF or
 * CR LF; the last one may have no end. Bytes stay as they are.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { MapInput } from "./map-input.js";

const LF = 0x0a;
const CR = 0x0d;
/** The longest line, in bytes: more than any broker takes by default. */
export const MAX_LINE_BYTES = 64 * 2 ** 20;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Every line as an input.
 *
 * @throws PoolError `payload_too_large` for a line over the limit
 */
export async function* lines(
  source: AsyncIterable<Uint8Array>,
  maxLineBytes: number = MAX_LINE_BYTES,
): AsyncGenerator<MapInput> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  let readTo = 0;
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, from)) {
      pieces.push(chunk.subarray(from, end));
      yield toInput(pieces, readTo + end + 1);
      pieces = [];
      held = 0;
      from = end + 1;
    }
    readTo += chunk.length;
    if (from === chunk.length) continue;
    held += chunk.length - from;
    if (held > maxLineBytes) throw tooLong(maxLineBytes);
    pieces.push(chunk.subarray(from));
  }
  if (held > 0) yield toInput(pieces, readTo);
}

function toInput(pieces: readonly Uint8Array[], readTo: number): MapInput {
  const line = Buffer.concat(pieces);
  const payload = line.at(-1) === CR ? line.subarray(0, -1) : line;
  return { label: decoder.decode(payload), payload, readTo };
}

function tooLong(limit: number): PoolError {
  return new PoolError("payload_too_large", `input: a line has more than ${limit} bytes`, { field: "input" });
}
