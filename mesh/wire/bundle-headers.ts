/** The headers of a bundle: what is said once of all its jobs or results (payloads.ts has the entries). */
import type { MsgHdrs } from "nats";
import { DURABLE, HEADER } from "./headers.js";
import { firstHeaderIs, type HeaderReader, wireHeaders } from "./wire-headers.js";

/** Whether a message is a bundle of several. */
export const isBundle = firstHeaderIs(HEADER.bundle);

/** What a bundle of jobs says of all of them. */
export interface BundleHeaders {
  /** When it was sent, milliseconds since the epoch; for workers of protocol version 1. */
  readonly sentAt: number | undefined;
  /** As in JobHeaders. */
  readonly clockMs: number | undefined;
  readonly startWithinMs: number | undefined;
  readonly durable?: boolean;
  readonly join?: boolean;
}

/** Headers of a bundle of jobs. */
export function encodeJobsHeaders(count: number, about: BundleHeaders): MsgHdrs {
  const { sentAt, clockMs, startWithinMs, durable, join } = about;
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  if (sentAt !== undefined) h.append(HEADER.sentAt, String(sentAt));
  if (clockMs !== undefined) h.append(HEADER.clock, String(Math.floor(clockMs)));
  if (startWithinMs !== undefined) h.append(HEADER.startWithinMs, String(Math.floor(startWithinMs)));
  if (durable) h.append(HEADER.lane, DURABLE);
  if (join) h.append(HEADER.join, "1");
  return h;
}

/** What a bundle of jobs says of all of them; what is malformed is taken as not said. */
export function decodeJobsHeaders(h: HeaderReader | undefined): BundleHeaders {
  const number = (name: string): number | undefined => {
    const said = h?.get(name) ?? "";
    return /^\d{1,15}$/.test(said) ? Number(said) : undefined;
  };
  return {
    sentAt: number(HEADER.sentAt),
    clockMs: number(HEADER.clock),
    startWithinMs: number(HEADER.startWithinMs),
    durable: h?.get(HEADER.lane) === DURABLE,
    join: h?.get(HEADER.join) === "1",
  };
}

/** Headers of a bundle of results. */
export function encodeResultsHeaders(count: number, worker: string, free: number): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.bundle, String(count));
  h.append(HEADER.worker, worker);
  h.append(HEADER.free, String(free));
  return h;
}
