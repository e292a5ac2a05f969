/**
 * One listener for HTTP/1.1 and HTTP/2, in the clear or over TLS.
 *
 * In the clear the first bytes of a connection tell the version of HTTP, over TLS the
 * protocol that the handshake has agreed on (ALPN). Decided here: the limits of a connection, and how every connection ends. Not
 * decided here: what is answered.
 *
 * stop() closes the listener, tells HTTP/2 clients to leave, answers requests that are
 * still on their way, waits for open calls, closes idle connections, and then cuts the
 * others.
 */
import { createServer as createHttp1, type Server as Http1Server } from "node:http";
import { constants, createServer as createHttp2, type Http2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  createServer as createTls,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { Lifecycle } from "../process/lifecycle.js";
import { type Logger, silentLog, unconditional } from "../process/log.js";
import type { Listen } from "../process/options.js";
import { readVersion } from "./first-bytes.js";
import { listenFailure } from "./listen-failure.js";
import { OpenSet } from "./open-set.js";
import type { HttpListener, HttpRequest, HttpResponse } from "./rpc/exchange.js";
import { CertifiedClients } from "./tls/certified-clients.js";
import type { TlsFiles } from "./tls/tls-files.js";
import { UnusedConnections } from "./unused-connections.js";

/** The limits of a port. */
export interface PortLimits {
  /** Connections at once; more are dropped. Default 10,000. */
  maxConnections?: number;
  /** Time for the bytes that tell the version of HTTP, in milliseconds; default 5,000. */
  firstByteMs?: number;
  /** Time from the connection to its first request, and for the headers of a later one over HTTP/1.1, in milliseconds; default 10,000. */
  headersMs?: number;
  /** Time for a whole request that is not a stream, in milliseconds; default 60,000. */
  requestMs?: number;
  /** When stopping, time for open calls to end, and again for connections to close, in milliseconds; default 500. */
  closeMs?: number;
}

const DEFAULTS: Required<PortLimits> = {
  maxConnections: 10_000,
  firstByteMs: 5_000,
  headersMs: 10_000,
  requestMs: 60_000,
  closeMs: 500,
};

/** How often Node looks for HTTP/1.1 requests whose time is over, in milliseconds: one may last so much longer. It wakes an idle process. */
const HEADERS_LOOK_MS = 5_000;
const TOO_LATE = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
const KEEP_ALIVE_MS = 65_000;
const TCP_PROBE_MS = 30_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Node's own defaults allow any number of streams, any size of headers, and push. */
const HTTP2_SETTINGS = { maxConcurrentStreams: 100, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false };
/** The id in a GOAWAY that announces the end and refuses nothing yet (RFC 9113 §6.8). */
const LAST_STREAM_ID = 2 ** 31 - 1;
/** Requests that were on their way when the stop began are answered for this long, in milliseconds. */
const ON_ITS_WAY_MS = 50;

const TCP_OPTIONS = { keepAlive: true, keepAliveInitialDelay: TCP_PROBE_MS, noDelay: true };

/** What a port is made of. */
export interface PortParts {
  readonly listen: Listen;
  /** Answers every request of either version. */
  readonly listener: HttpListener;
  readonly limits?: PortLimits | undefined;
  readonly log?: Logger;
  /** The certificate to serve with; undefined: in the clear. */
  readonly tls?: TlsFiles | undefined;
}

/** A TCP port that speaks both versions of HTTP. */
export class HttpPort extends Lifecycle {
  readonly #listen: Listen;
  readonly #limits: Required<PortLimits>;
  readonly #tls: TlsFiles | undefined;
  readonly #tcp: Server;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new OpenSet<Socket>();
  /** Those whose version of HTTP is known. */
  readonly #known = new WeakSet<Socket>();
  readonly #sessions = new OpenSet<ServerHttp2Session>();
  readonly #responses = new OpenSet<HttpResponse>();
  readonly #unused = new UnusedConnections();
  readonly #certified = new CertifiedClients();
  /** For what concerns access. */
  readonly #audit: Logger;
  #bound: Promise<void> | undefined;

  constructor(parts: PortParts) {
    super();
    const { listen, listener, limits, log = silentLog, tls } = parts;
    this.#listen = listen;
    this.#audit = unconditional(log);
    this.#tls = tls;
    this.#limits = { ...DEFAULTS, ...limits };
    const answer = (req: HttpRequest, res: HttpResponse): void => {
      this.#unused.isUsed(req.socket);
      this.#responses.add(res);
      listener(req, res);
    };
    this.#tcp = tls === undefined ? createServer(TCP_OPTIONS) : this.#makeSecure(tls, log);
    this.#tcp.maxConnections = this.#limits.maxConnections;
    this.#tcp.on("error", (error) => {
      // one that cannot listen is told by listen()
      if (this.#tcp.listening) log.error({ error: error.message }, "listener failed");
    });
    this.#tcp.on("connection", (socket) => this.#accept(socket));
    this.#http1 = createHttp1(http1Options(this.#limits), answer);
    this.#http2 = createHttp2({ settings: HTTP2_SETTINGS }, answer);
    this.#http2.on("session", (session) => {
      session.on("error", () => {});
      this.#sessions.add(session);
      this.#unused.endBy(session.socket, () => session.close());
    });
  }

  /** Where it listens; the port is the real one after start(). */
  get address(): Listen {
    const bound = this.#tcp.address() as AddressInfo | null;
    return bound === null ? this.#listen : { host: bound.address, port: bound.port };
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  protected override async onStart(): Promise<void> {
    this.#tls?.start((context) => this.#secure(context));
    this.#bound = this.#bind();
    await this.#bound;
    // Node starts the time limits of HTTP/1.1 requests with this event only.
    this.#http1.emit("listening");
  }

  protected override async onStop(): Promise<void> {
    // A listener that is closed while it binds emits neither "listening" nor "error".
    await this.#bound?.catch(() => {});
    this.#tls?.stop();
    this.#tcp.close();
    for (const session of this.#sessions) session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
    if (this.#sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, ON_ITS_WAY_MS));
    await this.#responses.whenEmpty(this.#limits.closeMs);
    this.#http1.close();
    for (const session of this.#sessions) session.close();
    for (const socket of this.#sockets) if (!this.#known.has(socket)) socket.destroy();
    await this.#sockets.whenEmpty(this.#limits.closeMs);
    for (const socket of this.#sockets) socket.destroy();
    await this.#sockets.whenEmpty(this.#limits.closeMs);
  }

  /** New connections get the certificate, and open ones of clients that its CA does not know end. */
  #secure(context: SecureContextOptions): void {
    (this.#tcp as TlsServer).setSecureContext(context);
    if (context.ca === undefined) return;
    for (const socket of this.#certified.strangersTo(String(context.ca))) {
      refuseCertificate(socket, "the client CA is another one now", this.#audit);
    }
  }

  #makeSecure(tls: TlsFiles, log: Logger): TlsServer {
    const server = createTls({
      ...TCP_OPTIONS,
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: this.#limits.firstByteMs,
      requestCert: tls.asksClients,
      // A client without a certificate may have a token, and a probe needs neither.
      rejectUnauthorized: false,
    });
    server.on("tlsClientError", (error, socket) => {
      log.debug({ error: error.message }, "no TLS with a client");
      socket.destroy();
    });
    server.on("secureConnection", (socket) => {
      // Costly for the server, and its client might become somebody else. HTTP/2 forbids it (RFC 9113 §9.2.1).
      socket.disableRenegotiation();
      socket.on("error", () => socket.destroy());
      if (isForeign(socket)) {
        refuseCertificate(socket, String(socket.authorizationError), this.#audit);
        return;
      }
      this.#certified.add(socket);
      this.#hand(socket, socket.alpnProtocol === "h2" ? "http2" : "http1");
    });
    return server;
  }

  #hand(socket: Socket, version: "http1" | "http2"): void {
    if (version === "http2") return void this.#http2.emit("connection", socket);
    this.#unused.endBy(socket, () => socket.end(TOO_LATE, () => socket.destroy()));
    this.#http1.emit("connection", socket);
  }

  #bind(): Promise<void> {
    const { host, port } = this.#listen;
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(listenFailure(error, this.#listen));
      this.#tcp.once("error", onError);
      this.#tcp.listen({ host, port }, () => {
        this.#tcp.off("error", onError);
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    this.#unused.add(socket, this.#limits.headersMs);
    if (this.#tls !== undefined) return void this.#known.add(socket);
    readVersion(socket, this.#limits.firstByteMs, (version) => {
      this.#known.add(socket);
      this.#hand(socket, version);
      if (version === "http1") socket.resume();
    });
  }
}

/** Whether a client shows a certificate that the client CA has not signed, or that is not valid now. */
function isForeign(socket: TLSSocket): boolean {
  return !socket.authorized && Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
}

function refuseCertificate(socket: TLSSocket, why: string, log: Logger): void {
  log.warn({ audit: "refused", from: socket.remoteAddress, why }, "a client certificate is refused");
  socket.destroy();
}

function http1Options(limits: Required<PortLimits>) {
  return {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: limits.headersMs,
    requestTimeout: Math.max(limits.requestMs, limits.headersMs),
    connectionsCheckingInterval: Math.min(HEADERS_LOOK_MS, limits.headersMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
}
