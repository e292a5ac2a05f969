/** Why a call to a manager over HTTP failed, and what to do. Pure. */
import { ConnectError } from "@connectrpc/connect";
import { PoolError } from "../../mesh/errors.js";
import { fromConnectError } from "../../mesh/wire/connect-errors.js";

/** Codes of Node and OpenSSL for a certificate that is not trusted. */
const DISTRUST = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_TLS_CERT)/;
const UNREACHED = /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|EPROTO|ERR_SSL)/;

/** What the server says, or why it was not reached. */
export function remoteFailure(thrown: unknown, url: string): PoolError {
  const { cause, rawMessage } = ConnectError.from(thrown);
  const code = String((cause as { code?: unknown } | undefined)?.code ?? "");
  const { origin } = new URL(url);
  if (DISTRUST.test(code)) {
    const text = `the certificate of ${origin} is not trusted (${rawMessage}); name its CA with --ca-file`;
    return new PoolError("bus_unavailable", text, { cause: thrown });
  }
  if (UNREACHED.test(code)) {
    return new PoolError("bus_unavailable", `no manager at ${origin}: ${rawMessage}`, { cause: thrown });
  }
  if (code === "EPIPE" || code.startsWith("HPE_") || /^HTTP \d+$/.test(rawMessage)) {
    const text = `what answers at ${origin} is no manager (${rawMessage}): is this the port of its --listen?`;
    return new PoolError("bus_unavailable", text, { cause: thrown });
  }
  return thrown instanceof PoolError ? thrown : fromConnectError(thrown);
}
