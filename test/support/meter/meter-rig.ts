/** A meter on a broker of its own test, and clients of it. */
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";
import { Meter, type MeterOptions } from "../../../services/meter/meter.js";
import { connectBus, type Owner } from "../broker.js";
import { cleanUp } from "../clean-up.js";
import { type GeneratorOptions, HeartbeatGenerator } from "./heartbeat-generator.js";

/** A meter that is ready, on a free port. It is stopped when the test `t` ends. */
export async function startMeter(
  t: Owner,
  broker: { readonly url: string },
  options: Partial<MeterOptions> = {},
): Promise<Meter> {
  const meter = new Meter({ bus: { servers: broker.url }, listen: { host: "127.0.0.1", port: 0 }, ...options });
  cleanUp(t, () => meter.stop());
  await meter.start();
  return meter;
}

/** Workers that beat until the test `t` ends. */
export async function startBeating(
  t: Owner,
  broker: { readonly url: string },
  options: GeneratorOptions = {},
): Promise<HeartbeatGenerator> {
  const bus = await connectBus(t, broker);
  const generator = new HeartbeatGenerator(bus, options);
  cleanUp(t, () => generator.stop());
  generator.start();
  return generator;
}

/** A client of MeterService; gRPC unless told otherwise. */
export function meterClient(meter: Meter, transport: Transport = createGrpcTransport({ baseUrl: meter.url })) {
  return createClient(MeterService, transport);
}

/** A client of solpipe.WorkerStatus. */
export function workerStatusClient(meter: Meter, transport: Transport = createGrpcTransport({ baseUrl: meter.url })) {
  return createClient(WorkerStatus, transport);
}

/** A stream that is read one message at a time, and left when the test `t` ends. */
export class Stream<T> {
  readonly #iterator: AsyncIterator<T>;
  readonly #abort: AbortController;

  constructor(t: Owner, open: (options: { signal: AbortSignal }) => AsyncIterable<T>) {
    this.#abort = new AbortController();
    this.#iterator = open({ signal: this.#abort.signal })[Symbol.asyncIterator]();
    cleanUp(t, () => this.leave());
  }

  /** The next message. Rejects when the stream has ended, with its error if it had one. */
  async next(): Promise<T> {
    const { done, value } = await this.#iterator.next();
    if (done) throw new Error("the stream ended without an error");
    return value;
  }

  /** Reads on until `wanted` holds. */
  async until(wanted: (message: T) => boolean): Promise<T> {
    for (;;) {
      const message = await this.next();
      if (wanted(message)) return message;
    }
  }

  leave(): void {
    this.#abort.abort();
  }
}
