/**
 * Why there is no connection to a broker, in words.
 *
 * The NATS client says "timeout" when a broker refuses after its greeting: no
 * client certificate, no room. The broker is then asked once more, over a plain
 * socket and without credentials, and what it says is the cause.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TlsOptions } from "nats";
import { safeMessage } from "../../errors.js";
import { parseJson } from "../../job/codec.js";

/** How long a broker has to say why, in milliseconds. */
const ASK_LIMIT_MS = 1_000;

/** What an error of connecting says → what it means. The first that matches counts. */
const CAUSES: readonly (readonly [said: RegExp, cause: string | ((text: string) => string)])[] = [
  [/ECONNREFUSED|connection refused/, "connection refused"],
  [/ENOTFOUND|EAI_/, "the host name has no address (DNS)"],
  [/EHOSTUNREACH|ENETUNREACH/, "no route to the host"],
  [/maximum (account )?(active )?connections/i, "the broker has as many connections as it may have (max_connections)"],
  [/certificate required|bad certificate|handshake failure/i, "the broker wants a client certificate: see tlsCertFile"],
  [/does not support 'tls'/, "the broker offers no TLS, which tls:// and the tls options demand"],
  [/secure connection - tls required/i, "the broker takes TLS alone: use tls://"],
  [/unexpected response|wrong version number|packet length too long/i, "what answers there is no NATS broker"],
  [/undefined error|socket hang up|ECONNRESET|disconnected before secure/i, "the connection was closed at once"],
  [/altnames|does not match certificate/i, "the broker's certificate is for another host name"],
  [/certificate|self.signed|issuer/i, (text) => `the broker's certificate is not trusted (${text}): see tlsCaFile`],
  [/timeout|ETIMEDOUT/i, "no answer in time"],
];

/** The cause of a failed connection, in a few words that contain no secret. */
export function whyNoConnection(error: unknown): string {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  const text = safeMessage(String(message ?? error));
  const said = `${typeof code === "string" ? code : ""} ${text}`;
  const cause = CAUSES.find(([pattern]) => pattern.test(said))?.[1] ?? text;
  return typeof cause === "string" ? cause : cause(text);
}

/** Whether the NATS client gave up without a cause. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && /timeout/i.test(error.message);
}

/**
 * Asks a broker why it lets nobody in.
 *
 * @param address host and port
 * @param tls how the NATS client would speak TLS; undefined when only the broker decides
 * @returns the cause; undefined when the broker complains of nothing
 */
export async function askBroker(address: string, tls: TlsOptions | undefined): Promise<string | undefined> {
  const url = new URL(`tcp://${address}`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = connect(Number(url.port), host);
  const sockets: Socket[] = [socket];
  const signal = AbortSignal.timeout(ASK_LIMIT_MS);
  try {
    const plain = new Lines(socket, signal);
    const greeting = await plain.next();
    if (greeting.startsWith("-ERR")) return whyNoConnection(greeting);
    if (!greeting.startsWith("INFO ")) return whyNoConnection("unexpected response");
    const { tls_required, tls_available } = parseJson(greeting.slice(5)) as Record<string, unknown>;
    if (tls !== undefined && !tls_required && !tls_available) return whyNoConnection("server does not support 'tls'");
    if (!tls_required && !tls_available) return await complaint(plain);
    plain.stop();
    const secure = connectTls({ ...toNodeTls(tls), socket, ...(isIP(host) === 0 ? { servername: host } : {}) });
    sockets.push(secure);
    return await complaint(new Lines(secure, signal));
  } catch (error) {
    return signal.aborted ? undefined : whyNoConnection(error);
  } finally {
    for (const each of sockets) each.on("error", () => {}).destroy();
  }
}

/** What the broker says against us. Rejects with an error of the socket, and when the broker says nothing. */
async function complaint(lines: Lines): Promise<string> {
  for (;;) {
    const said = await lines.next();
    if (said.startsWith("-ERR")) return whyNoConnection(said.slice(4).replaceAll("'", "").trim());
  }
}

/** The lines that a socket brings. */
class Lines {
  readonly #socket: Socket;
  #text = "";
  #ended: Error | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("socket hang up")));
    signal.addEventListener("abort", () => this.#end(new Error("timeout")), { once: true });
  }

  async next(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end).trim();
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** What comes next is not ours. */
  stop(): void {
    this.#socket.off("data", this.#onData);
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#text += bytes.toString();
    this.#wake();
  };

  #end(error: Error): void {
    this.#ended ??= error;
    this.#wake();
  }
}

function toNodeTls(tls: TlsOptions | undefined): { ca?: string; cert?: string; key?: string } {
  const { ca, cert, key } = tls ?? {};
  const said = Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as { ca?: string; cert?: string; key?: string };
}
