/**
 * Headers of a caller that Connect would take, print or choke on.
 *
 * A timeout that a timer cannot hold is refused before Connect starts a timer
 * with it; a version of the Connect protocol that does not exist is refused.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { headerProtocolVersion, headerTimeout, protocolVersion } from "@connectrpc/connect/protocol-connect";
import { headerTimeout as headerGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { MAX_TIMEOUT_MS } from "../../wire/headers.js";

/** Spoils a timeout header beyond {@link MAX_TIMEOUT_MS}, so that it is refused as invalid. */
export function spoilHugeTimeouts(header: Headers): void {
  const connect = header.get(headerTimeout);
  if (connect !== null && Number(connect) > MAX_TIMEOUT_MS) header.set(headerTimeout, `${connect} (too long)`);
  const grpc = header.get(headerGrpcTimeout);
  if (grpc !== null && grpcTimeoutMs(grpc) > MAX_TIMEOUT_MS) header.set(headerGrpcTimeout, `${grpc} (too long)`);
}

const GRPC_UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

function grpcTimeoutMs(value: string): number {
  return Number(value.slice(0, -1)) * (GRPC_UNIT_MS[value.slice(-1)] ?? Number.NaN);
}

/** The refusal of a call whose headers ask for what there is not; undefined when they are well. */
export function headerMistake(header: Headers): ConnectError | undefined {
  const version = header.get(headerProtocolVersion);
  const isGrpc = header.get("content-type")?.startsWith("application/grpc") === true;
  if (isGrpc || version === null || version === protocolVersion) return undefined;
  return new ConnectError(`${headerProtocolVersion}: use ${protocolVersion}, or send none`, Code.InvalidArgument);
}
