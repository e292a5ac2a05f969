/**
 * Mistakes of a caller that Connect would call a bug of ours, or print.
 *
 * Bytes that are no protobuf are `invalid_argument` here, as JSON that does not
 * parse is; Connect says `internal`. (A unary gRPC call keeps `internal`: it is
 * what gRPC itself says.) A timeout that a timer cannot hold is refused before
 * Connect starts a timer with it.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { MAX_TIMEOUT_MS } from "../../wire/headers.js";

/** How Connect's messages begin when a request's bytes do not parse. */
const UNPARSABLE = "parse binary: ";
const UNPARSABLE_JSON = Buffer.from(`{"code":"internal","message":"${UNPARSABLE}`);

/** An error of parsing a request as `invalid_argument`; any other as it is. */
export function asCallersMistake(error: ConnectError): ConnectError {
  if (error.code !== Code.Internal || !error.rawMessage.startsWith(UNPARSABLE)) return error;
  return new ConnectError(error.rawMessage, Code.InvalidArgument);
}

/** The same for the answer to a unary Connect call, which no interceptor sees. */
export async function correctUnary(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  if (response.status !== 500 || response.body === undefined) return response;
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (!bytes.subarray(0, UNPARSABLE_JSON.length).equals(UNPARSABLE_JSON)) return { ...response, body: once(bytes) };
  const body = Buffer.from(bytes.toString().replace('"internal"', '"invalid_argument"'));
  response.header?.set("content-length", String(body.length));
  return { ...response, status: 400, body: once(body) };
}

/** Spoils a timeout header beyond {@link MAX_TIMEOUT_MS}, so that it is refused as invalid. */
export function spoilHugeTimeouts(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null && Number(connect) > MAX_TIMEOUT_MS) header.set("connect-timeout-ms", `${connect} (too long)`);
  const grpc = header.get("grpc-timeout");
  if (grpc !== null && grpcTimeoutMs(grpc) > MAX_TIMEOUT_MS) header.set("grpc-timeout", `${grpc} (too long)`);
}

const GRPC_UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

function grpcTimeoutMs(value: string): number {
  return Number(value.slice(0, -1)) * (GRPC_UNIT_MS[value.slice(-1)] ?? Number.NaN);
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}
