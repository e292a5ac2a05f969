/**
 * Subscribers in a process of their own, for scripts that measure freshness:
 * each notes when it first saw how many slots busy.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MeterService } from "../gen/poolmesh/v1/meter_pb.js";

/** What one subscriber saw: busy slots, and when by the machine's monotonic clock, in milliseconds. */
export type Sightings = readonly (readonly [busy: number, atMs: number])[];

const SUBSCRIBERS_PER_CONNECTION = 50;

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
  let client = createClient(MeterService, createGrpcTransport({ baseUrl: meterUrl }));
  const seen: [number, number][][] = [];
  for (let i = 0; i < count; i += 1) {
    if (i % SUBSCRIBERS_PER_CONNECTION === 0) {
      client = createClient(MeterService, createGrpcTransport({ baseUrl: meterUrl }));
    }
    const stream = client.watchCapacity({})[Symbol.asyncIterator]();
    const mine: [number, number][] = [];
    seen.push(mine);
    await stream.next();
    void note(stream, mine);
  }
  process.on("message", () => process.send?.(seen, () => process.exit(0)));
  process.send?.("ready");
}

async function note(
  stream: AsyncIterator<{ readonly total?: { readonly busy: number } | undefined }>,
  mine: [number, number][],
): Promise<void> {
  for (;;) {
    const { value } = await stream.next();
    mine.push([value.total?.busy ?? 0, machineMs()]);
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  await read(process.argv[2] ?? "", Number(process.argv[3]));
}
