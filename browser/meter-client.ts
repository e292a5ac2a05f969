/** A client of the meter, in a browser or in Node. Decided here: its transport. */
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { MeterService } from "../gen/poolmesh/v1/meter_pb.js";

/** Where the meter is. */
export interface MeterAddress {
  /** The meter's URL; default this page's own origin, or http://127.0.0.1:8090 outside a browser. */
  readonly baseUrl?: string;
  /** The bearer token to send, or what tells it for each call; undefined: none. It is kept nowhere. */
  readonly token?: string | (() => string | undefined);
  /** Another transport, such as one of connect-node; wins over `baseUrl` and `token`. */
  readonly transport?: Transport;
}

/** The address of a meter that was started with its defaults. */
export const DEFAULT_METER_URL = "http://127.0.0.1:8090";

/** A client for MeterService: Connect with the binary format over HTTP/1.1 or what fetch chooses. */
export function createMeterClient(address: MeterAddress = {}): Client<typeof MeterService> {
  return createClient(MeterService, address.transport ?? meterTransport(address));
}

/** How a browser, or Node, calls a meter. */
export function meterTransport({ baseUrl, token }: Pick<MeterAddress, "baseUrl" | "token">): Transport {
  return createConnectTransport({
    baseUrl: baseUrl ?? ownOrigin() ?? DEFAULT_METER_URL,
    useBinaryFormat: true,
    interceptors: [bear(typeof token === "function" ? token : () => token)],
  });
}

function bear(token: () => string | undefined): Interceptor {
  return (next) => (req) => {
    const said = token();
    if (said !== undefined && !req.header.has("authorization")) req.header.set("authorization", `Bearer ${said}`);
    return next(req);
  };
}

function ownOrigin(): string | undefined {
  const origin: unknown = (globalThis as { location?: { origin?: unknown } }).location?.origin;
  return typeof origin === "string" && /^https?:/.test(origin) ? origin : undefined;
}
