/**
 * Subscribers of a meter's WatchCapacity. Some decode what they get and note
 * when; the others only read, so that the clients' own decoding, which each
 * would do on its own machine, does not delay what is measured here.
 */
import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { machineNow } from "../harness/figures/clock.js";
import { meterProto } from "../harness/processes/services.js";

/** What one subscriber saw: busy slots, and when. */
export type Sightings = readonly (readonly [busy: number, at: number])[];

const PER_CONNECTION = 50;
/** A gRPC frame with an empty message. */
const EMPTY_FRAME = Buffer.alloc(5);
const HEADERS = {
  ":method": "POST",
  ":path": `/${meterProto.MeterService.typeName}/WatchCapacity`,
  "content-type": "application/grpc+proto",
  te: "trailers",
};

const seen: [number, number][][] = [];

/** Opens streams that note what they see; resolves when each has its snapshot. */
export async function watch(url: string, count: number): Promise<void> {
  const client = createClient(meterProto.MeterService, createGrpcTransport({ baseUrl: url }));
  for (let i = 0; i < count; i += 1) {
    const messages = client.watchCapacity({})[Symbol.asyncIterator]();
    await messages.next();
    const mine: [number, number][] = [];
    seen.push(mine);
    void note(messages, mine);
  }
}

/** Opens streams that are only read; resolves when each has got something. */
export async function read(url: string, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += PER_CONNECTION) {
    const session = connectHttp2(url);
    const streams = Array.from({ length: Math.min(PER_CONNECTION, count - opened) }, () => {
      const stream = session.request(HEADERS);
      stream.end(EMPTY_FRAME);
      return new Promise((resolve, reject) => stream.once("error", reject).once("data", resolve).resume());
    });
    await Promise.all(streams);
  }
}

/** What those saw that note. */
export async function sightings(): Promise<Sightings[]> {
  return seen;
}

async function note(
  messages: AsyncIterator<{ readonly total?: { readonly busy: number } | undefined }>,
  mine: [number, number][],
): Promise<void> {
  for (;;) {
    const { value, done } = await messages.next();
    if (done) return;
    mine.push([value.total?.busy ?? 0, machineNow()]);
  }
}
