/** Finds out which version of HTTP a connection speaks, from its first bytes. */
import type { Socket } from "node:net";

/** How an HTTP/2 connection begins, as no HTTP/1.1 request does (RFC 9113 §3.4). */
const PREFACE = Buffer.from("PRI ");

/** The version of HTTP that begins with `first`; undefined while both are possible. */
export function versionOf(first: Buffer): "http1" | "http2" | undefined {
  const known = Math.min(first.length, PREFACE.length);
  if (!first.subarray(0, known).equals(PREFACE.subarray(0, known))) return "http1";
  return known === PREFACE.length ? "http2" : undefined;
}

/**
 * Reads from `socket` until its version is known, puts the bytes back and calls
 * `found`. Destroys it when it is not known within `limitMs`.
 */
export function readVersion(socket: Socket, limitMs: number, found: (version: "http1" | "http2") => void): void {
  const timer = setTimeout(() => socket.destroy(), limitMs);
  let first: Buffer = Buffer.alloc(0);
  const onData = (bytes: Buffer): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes]);
    const version = versionOf(first);
    if (version === undefined) return;
    socket.off("data", onData);
    socket.pause();
    socket.unshift(first);
    clearTimeout(timer);
    found(version);
  };
  socket.on("data", onData);
  socket.once("close", () => clearTimeout(timer));
}
