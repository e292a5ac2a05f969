/**
 * Fan-out: one message for all readers of a topic that are in step.
 *
 * A delta is encoded once. Each stream puts its own version in front and sends it.
 * Streams that cannot take frames (JSON) encode a message of their own each time.
 */
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { HandlerContext } from "@connectrpc/connect";
import { binarySink } from "../../../mesh/http/rpc/frames.js";
import type { Delta } from "./feed.js";
import type { Reader } from "./reader.js";

/** Readers that ask for a delta within this time get the same clock reading, in milliseconds. */
const SHARED_MS = 20;
/** The field `version` of every message that is fanned out. */
const VERSION_FIELD = 1;

interface Encoded {
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

/** Deltas of one kind as bytes. */
export class Broadcast<V, Desc extends DescMessage> {
  readonly #schema: Desc;
  readonly #nowMs: () => number;
  readonly #encoded = new WeakMap<Delta<V>, Encoded>();

  constructor(schema: Desc, nowMs: () => number) {
    this.#schema = schema;
    this.#nowMs = nowMs;
  }

  /** The bytes of what `toMessage` makes of a delta, without a version. */
  bytesOf(delta: Delta<V>, toMessage: (delta: Delta<V>) => MessageShape<Desc>): Uint8Array {
    const nowMs = this.#nowMs();
    const known = this.#encoded.get(delta);
    if (known !== undefined && nowMs - known.atMs <= SHARED_MS) return known.bytes;
    const bytes = toBinary(this.#schema, toMessage(delta));
    this.#encoded.set(delta, { bytes, atMs: nowMs });
    return bytes;
  }
}

/** What a stream sends: a message of a delta, and the version that it carries. */
type Versioned<Desc extends DescMessage> = MessageShape<Desc> & { version: bigint };

/** What some readers of a topic are told. */
interface Told<V, Desc extends DescMessage> {
  readonly broadcast: Broadcast<V, Desc>;
  /** Makes a new message of a delta, without a version; the same for all readers of this broadcast. */
  readonly toMessage: (delta: Delta<V>) => Versioned<Desc>;
}

/**
 * Sends what a reader gets until the call ends: the first message by Connect,
 * since it carries the headers, the others as frames where that can be.
 *
 * @param told what its caller is told at this moment
 * @throws the reason of the call's signal
 */
export async function* fanOut<V, Desc extends DescMessage>(
  reader: Reader<V>,
  told: () => Told<V, Desc>,
  context: HandlerContext,
): AsyncGenerator<MessageShape<Desc>> {
  const sink = binarySink(context);
  for (let version = 1n; ; version += 1n) {
    const delta = await reader.next();
    reader.sent();
    const { broadcast, toMessage } = told();
    if (sink === undefined || version === 1n) {
      const message = toMessage(delta);
      message.version = version;
      yield message;
    } else if (!sink.write(Buffer.concat([toVersionField(version), broadcast.bytesOf(delta, toMessage)]))) {
      await sink.drained(context.signal);
    }
  }
}

function toVersionField(version: bigint): Uint8Array {
  return new BinaryWriter().tag(VERSION_FIELD, WireType.Varint).uint64(version).finish();
}
