/**
 * Connections whose client has shown a certificate: one ends when the client CA that
 * signed its certificate is no longer trusted.
 */
import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { certificatesIn } from "../../process/files/pem.js";

/** A client's name is bounded by this many certificates between it and its CA. */
const LONGEST_CHAIN = 10;

/** Open connections of clients with a certificate. */
export class CertifiedClients {
  readonly #open = new Set<TLSSocket>();

  /** Follows a connection until it closes, when its client has shown a certificate. */
  add(socket: TLSSocket): void {
    if (!socket.authorized || Object.keys(socket.getPeerCertificate() ?? {}).length === 0) return;
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }

  /** The connections whose certificate none of these CAs has signed. @param ca certificates (PEM) */
  strangersTo(ca: string): TLSSocket[] {
    const trusted = certificatesIn(ca).map((each) => new X509Certificate(each));
    return [...this.#open].filter((socket) => !isTrusted(socket.getPeerCertificate(true), trusted));
  }
}

/** Whether one of a client's certificates, from its own upwards, is a trusted one or was signed by one. */
function isTrusted(own: DetailedPeerCertificate, trusted: readonly X509Certificate[]): boolean {
  let each: DetailedPeerCertificate | undefined = own;
  for (let depth = 0; depth < LONGEST_CHAIN && each?.raw !== undefined; depth += 1) {
    const certificate: X509Certificate = new X509Certificate(each.raw);
    if (trusted.some((ca) => isSignedBy(certificate, ca))) return true;
    each = each.issuerCertificate === each ? undefined : each.issuerCertificate;
  }
  return false;
}

function isSignedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  if (certificate.fingerprint256 === ca.fingerprint256) return true;
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}
