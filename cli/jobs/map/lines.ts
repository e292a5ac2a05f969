/**
 * Lines of a byte stream, as they come.
 *
 * Memory is bounded by one chunk and one line, and a line by a limit. A line
 * ends with LF or CR LF; the last one may have no end. Bytes stay as they are,
 * but for a byte order mark before the first line: editors write it, and no JSON
 * may begin with it.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Groups } from "./feed.js";
import type { MapInput } from "./map-input.js";

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
/** The longest line, in bytes: more than any broker takes by default. */
const MAX_LINE_BYTES = 64 * 2 ** 20;

/** How lines are read. */
export interface LinesOptions {
  /** The longest line, in bytes; default {@link MAX_LINE_BYTES}. */
  readonly maxLineBytes?: number;
  /** Whether a byte order mark before the first line stays; default false. */
  readonly keepByteOrderMark?: boolean;
}

/**
 * Every line as an input, in groups: those that a chunk ends.
 *
 * @throws PoolError `payload_too_large` for a line over the limit, `invalid_argument` for UTF-16 text
 */
export async function* lines(source: AsyncIterable<Uint8Array>, options: LinesOptions = {}): Groups<MapInput> {
  const splitter = new Splitter(options);
  for await (const chunk of source) yield splitter.split(chunk);
  yield splitter.rest();
}

class Splitter {
  readonly #maxLineBytes: number;
  #mayBeginWithMark: boolean;
  /** The beginning of a line whose end is not read yet. */
  #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  #readTo = 0;

  constructor({ maxLineBytes = MAX_LINE_BYTES, keepByteOrderMark = false }: LinesOptions) {
    this.#maxLineBytes = maxLineBytes;
    this.#mayBeginWithMark = !keepByteOrderMark;
  }

  *split(chunk: Uint8Array): Generator<MapInput> {
    let from = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, from)) {
      this.#pieces.push(chunk.subarray(from, end));
      yield this.#take(this.#readTo + end + 1, true);
      from = end + 1;
    }
    this.#readTo += chunk.length;
    if (from === chunk.length) return;
    this.#heldBytes += chunk.length - from;
    if (this.#heldBytes > this.#maxLineBytes) throw tooLong(this.#maxLineBytes);
    this.#pieces.push(chunk.subarray(from));
  }

  /** The last line, when it has no end. A stream of nothing but a byte order mark has no line. */
  *rest(): Generator<MapInput> {
    if (this.#heldBytes === 0) return;
    const isMark = this.#heldBytes === BYTE_ORDER_MARK.length && this.#readTo === this.#heldBytes;
    const input = this.#take(this.#readTo, false);
    if (!isMark || input.payload.length > 0) yield input;
  }

  /** @param isEnded whether LF ends it: only then a CR before belongs to its end */
  #take(readTo: number, isEnded: boolean): MapInput {
    const line = this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces);
    if (this.#mayBeginWithMark && isUtf16(line)) throw utf16();
    const from = this.#mayBeginWithMark ? markLength(line) : 0;
    const to = isEnded && line.length > from && line[line.length - 1] === CR ? line.length - 1 : line.length;
    this.#mayBeginWithMark = false;
    this.#pieces = [];
    this.#heldBytes = 0;
    return { payload: line.subarray(from, to), readTo };
  }
}

function markLength(line: Uint8Array): number {
  return BYTE_ORDER_MARK.every((byte, i) => line[i] === byte) ? BYTE_ORDER_MARK.length : 0;
}

/** UTF-16 begins with a mark that no UTF-8 text begins with, and its line ends are not those of bytes. */
function isUtf16(line: Uint8Array): boolean {
  const [first, second] = line;
  return ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) && line.includes(0);
}

function utf16(): PoolError {
  const message =
    "input: this is UTF-16, and lines are read as UTF-8: convert it first (iconv -f UTF-16 -t UTF-8), or take its bytes as they are with --codec bytes";
  return new PoolError("invalid_argument", message, { field: "input" });
}

function tooLong(limit: number): PoolError {
  return new PoolError("payload_too_large", `input: a line has more than ${limit} bytes`, { field: "input" });
}
