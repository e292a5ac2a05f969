/**
 * Subscribers in a process of their own, for scripts that measure freshness:
 * each notes when it first saw how many slots busy. They speak gRPC by hand,
 * since hundreds of full clients in one process would mostly measure themselves.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { MeterService, WatchCapacityResponseSchema } from "../../gen/poolmesh/v1/meter_pb.js";

/** What one subscriber saw: busy slots, and when by the machine's monotonic clock, in milliseconds. */
export type Sightings = readonly (readonly [busy: number, atMs: number])[];

const SUBSCRIBERS_PER_CONNECTION = 50;
/** A gRPC frame with an empty message: its flags and its length. */
const EMPTY_FRAME = Buffer.alloc(5);
const HEADERS = {
  ":method": "POST",
  ":path": `/${MeterService.typeName}/${MeterService.method.watchCapacity.name}`,
  "content-type": "application/grpc+proto",
  te: "trailers",
};

/** The machine's monotonic clock, the same in every process. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Starts subscribers; resolves when all have their snapshot. The function it returns ends them and says what they saw. */
export async function forkReaders(meterUrl: string, count: number): Promise<() => Promise<readonly Sightings[]>> {
  const args = [meterUrl, String(count)];
  const child = fork(fileURLToPath(import.meta.url), args, { execArgv: ["--import", "tsx"] });
  await once(child, "message");
  return async () => {
    const answer = once(child, "message");
    child.send("end");
    const [sightings] = (await answer) as [readonly Sightings[]];
    await once(child, "exit");
    return sightings;
  };
}

async function read(meterUrl: string, count: number): Promise<void> {
  const seen: (readonly [number, number])[][] = [];
  for (let opened = 0; opened < count; opened += SUBSCRIBERS_PER_CONNECTION) {
    const session = connect(meterUrl);
    const streams = Array.from({ length: Math.min(SUBSCRIBERS_PER_CONNECTION, count - opened) }, () => {
      const mine: (readonly [number, number])[] = [];
      seen.push(mine);
      return subscribe(session, mine);
    });
    await Promise.all(streams);
  }
  process.on("message", () => process.send?.(seen, () => process.exit(0)));
  process.send?.("ready");
}

/** Opens a stream; resolves at its first message. */
function subscribe(session: ClientHttp2Session, mine: (readonly [number, number])[]): Promise<void> {
  const stream = session.request(HEADERS);
  stream.end(EMPTY_FRAME);
  return new Promise((resolve, reject) => {
    let rest: Buffer = Buffer.alloc(0);
    stream.once("error", reject);
    stream.on("data", (chunk: Buffer) => {
      const atMs = machineMs();
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= EMPTY_FRAME.length) {
        const end = EMPTY_FRAME.length + rest.readUInt32BE(1);
        if (rest.length < end) break;
        const { total } = fromBinary(WatchCapacityResponseSchema, rest.subarray(EMPTY_FRAME.length, end));
        mine.push([total?.busy ?? 0, atMs]);
        rest = rest.subarray(end);
      }
      if (mine.length > 0) resolve();
    });
  });
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  await read(process.argv[2] ?? "", Number(process.argv[3]));
}
