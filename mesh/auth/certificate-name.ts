/** The name in the client certificate of a request's connection. */
import type { PeerCertificate, TLSSocket } from "node:tls";
import { type HttpRequest, isHttp2 } from "../http/rpc/exchange.js";

/** Connection → its client's name. A certificate belongs to the connection, and reading it is slow. */
const NAMES = new WeakMap<object, string | undefined>();

/** The common name in a certificate that the server's client CA has signed; undefined when there is none. */
export function certificateName(req: HttpRequest): string | undefined {
  const connection = isHttp2(req) ? req.stream.session : req.socket;
  if (connection === undefined) return undefined;
  if (!NAMES.has(connection)) NAMES.set(connection, read(req.socket as Partial<TLSSocket>));
  return NAMES.get(connection);
}

function read(socket: Partial<TLSSocket>): string | undefined {
  if (socket.authorized !== true || socket.getPeerCertificate === undefined) return undefined;
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const name: unknown = subject?.CN;
  // A certificate with several common names would be several callers.
  return typeof name === "string" && name !== "" ? name : undefined;
}
