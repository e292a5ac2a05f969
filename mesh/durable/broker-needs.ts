/** What the broker must be able to do for parts of the lane, and what callers hear where it cannot. Pure. */
import { PoolError } from "../errors.js";

/** A feature, and the version of nats-server that has it first. */
export interface Need {
  readonly what: string;
  readonly since: readonly [major: number, minor: number];
}

export const NEEDS = {
  schedules: { what: "jobs for later", since: [2, 12] },
  cron: { what: "cron schedules", since: [2, 14] },
  pauses: { what: "pauses of a pool", since: [2, 11] },
} as const satisfies Record<string, Need>;

/** Whether a version is certainly too old. A version that is not known may be new enough. */
export function isTooOld(version: string | undefined, { since: [major, minor] }: Need): boolean {
  const [, itsMajor, itsMinor] = /^v?(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  if (itsMajor === undefined) return false;
  return Number(itsMajor) < major || (Number(itsMajor) === major && Number(itsMinor) < minor);
}

/** @param field what was asked for */
export function unsupported(field: string, { what, since }: Need, version: string | undefined): PoolError {
  const message = `${field}: ${what} need nats-server ${since.join(".")} or newer; this broker is ${version ?? "of an unknown version"}`;
  return new PoolError("invalid_argument", message, { field });
}
