/** Why a call to a manager over HTTP failed, and what to do. Pure. */
import { ConnectError } from "@connectrpc/connect";
import { PoolError } from "../../mesh/errors.js";
import { fromConnectError } from "../../mesh/wire/connect-errors.js";

/** Codes of Node and OpenSSL for a certificate that is not trusted. */
const DISTRUST = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_|ERR_TLS_CERT)/;
const UNREACHED = /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|EPROTO|ERR_SSL)/;
/** What OpenSSL says of a first answer that is no TLS. */
const NO_TLS = /wrong version number|packet length too long|record layer failure/i;
/** What Connect says of an answer that is none of a server of ours. */
const NO_CONNECT = /^(HTTP \d+$|unsupported content type )/;

/** What the server says, or why it was not reached. */
export function remoteFailure(thrown: unknown, url: string): PoolError {
  const { cause, rawMessage } = ConnectError.from(thrown);
  const code = String((cause as { code?: unknown } | undefined)?.code ?? "");
  const { origin, protocol } = new URL(url);
  if (DISTRUST.test(code)) {
    const text = `the certificate of ${origin} is not trusted (${rawMessage}); name its CA with --ca-file`;
    return new PoolError("bus_unavailable", text, { cause: thrown });
  }
  if (code === "EPROTO" && NO_TLS.test(rawMessage)) {
    const text = `what answers at ${origin} does not speak TLS: say http://`;
    return new PoolError("bus_unavailable", text, { cause: thrown });
  }
  if (UNREACHED.test(code)) {
    const hint = protocol === "http:" && code === "ECONNRESET" ? "; if it speaks TLS, say https://" : "";
    return new PoolError("bus_unavailable", `no manager at ${origin}: ${shortly(rawMessage)}${hint}`, {
      cause: thrown,
    });
  }
  if (code === "EPIPE" || code === "ERR_HTTP2_ERROR" || code.startsWith("HPE_") || NO_CONNECT.test(rawMessage)) {
    const text = `what answers at ${origin} is no manager (${rawMessage}): is this the port of its --listen?`;
    return new PoolError("bus_unavailable", text, { cause: thrown });
  }
  return thrown instanceof PoolError ? thrown : fromConnectError(thrown);
}

/** The reason within a line of OpenSSL, such as "tlsv13 alert certificate required"; else the first line. */
function shortly(message: string): string {
  const [line = ""] = message.split("\n");
  return /:SSL routines:[^:]*:([^:]+)/.exec(line)?.[1] ?? line;
}
