/** The client certificate of a request's connection. */
import type { PeerCertificate, TLSSocket } from "node:tls";
import { type HttpRequest, isHttp2 } from "../http/rpc/exchange.js";

/** A certificate that the server's client CA has signed. */
export interface ClientCertificate {
  /** Its common name. */
  readonly name: string;
  /** When it ends: wall clock, milliseconds since the epoch. */
  readonly endsAtMs: number;
}

/** Connection → its client's certificate. It belongs to the connection, and reading it is slow. */
const CERTIFICATES = new WeakMap<object, ClientCertificate | undefined>();

/** The client's certificate; undefined when there is none, or none with one name. */
export function certificateOf(req: HttpRequest): ClientCertificate | undefined {
  const connection = isHttp2(req) ? req.stream.session : req.socket;
  if (connection === undefined) return undefined;
  if (!CERTIFICATES.has(connection)) CERTIFICATES.set(connection, read(req.socket as Partial<TLSSocket>));
  return CERTIFICATES.get(connection);
}

function read(socket: Partial<TLSSocket>): ClientCertificate | undefined {
  if (socket.authorized !== true || socket.getPeerCertificate === undefined) return undefined;
  const { subject, valid_to } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const name: unknown = subject?.CN;
  // A certificate with several common names would be several callers.
  if (typeof name !== "string" || name === "") return undefined;
  return { name, endsAtMs: Date.parse(valid_to ?? "") };
}
