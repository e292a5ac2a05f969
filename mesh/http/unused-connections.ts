/**
 * Connections that have brought no request yet: each has a time for its first one,
 * from the moment it was made, whatever it spends that time with: saying nothing, a
 * slow handshake, or headers that come a byte at a time.
 *
 * A connection is known by its other end, since one over TLS or HTTP/2 is several objects.
 */
import type { Socket } from "node:net";

type End = Pick<Socket, "remoteAddress" | "remotePort">;

interface Unused {
  readonly timer: NodeJS.Timeout;
  end: () => void;
}

/** Connections without a request. */
export class UnusedConnections {
  readonly #waiting = new Map<string, Unused>();

  /** Ends a connection unless it is used within `limitMs`. */
  add(socket: Socket, limitMs: number): void {
    const key = keyOf(socket);
    const unused = { end: () => void socket.destroy(), timer: setTimeout(() => unused.end(), limitMs) };
    this.#waiting.set(key, unused);
    socket.once("close", () => this.#forget(key, unused));
  }

  /** How one ends that is not used, once its protocol has a polite way. */
  endBy(end: End, work: () => void): void {
    const unused = this.#waiting.get(keyOf(end));
    if (unused !== undefined) unused.end = work;
  }

  /** It has brought a request. */
  isUsed(end: End): void {
    if (this.#waiting.size === 0) return;
    const key = keyOf(end);
    const unused = this.#waiting.get(key);
    if (unused !== undefined) this.#forget(key, unused);
  }

  #forget(key: string, unused: Unused): void {
    clearTimeout(unused.timer);
    if (this.#waiting.get(key) === unused) this.#waiting.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: End): string {
  return `${remoteAddress} ${remotePort}`;
}
