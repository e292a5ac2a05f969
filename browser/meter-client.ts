/** A client of the meter, in a browser or in Node. Decided here: its transport. */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { MeterService } from "../gen/poolmesh/v1/meter_pb.js";

/** Where the meter is. */
export interface MeterAddress {
  /** The meter's URL; default this page's own origin, or http://127.0.0.1:8090 outside a browser. */
  readonly baseUrl?: string;
  /** Another transport, such as one of connect-node; wins over `baseUrl`. */
  readonly transport?: Transport;
}

/** The address of a meter that was started with its defaults. */
export const DEFAULT_METER_URL = "http://127.0.0.1:8090";

/** A client for MeterService: Connect with the binary format over HTTP/1.1 or what fetch chooses. */
export function createMeterClient(address: MeterAddress = {}): Client<typeof MeterService> {
  return createClient(MeterService, address.transport ?? webTransport(address.baseUrl));
}

function webTransport(baseUrl: string | undefined): Transport {
  return createConnectTransport({ baseUrl: baseUrl ?? ownOrigin() ?? DEFAULT_METER_URL, useBinaryFormat: true });
}

function ownOrigin(): string | undefined {
  const origin: unknown = (globalThis as { location?: { origin?: unknown } }).location?.origin;
  return typeof origin === "string" && /^https?:/.test(origin) ? origin : undefined;
}
