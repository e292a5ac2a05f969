/**
 * Static tokens: a file that holds their hashes, and how a new one is made.
 *
 * Pure. A token has 256 bits from the system's random generator, so one round of
 * SHA-256 hides it. The file never holds a token.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Mistakes } from "./mistakes.js";
import { type Grant, grantOf, isPoolPattern, ROLES, type Role } from "./roles.js";

/** One token as its file knows it. */
export interface TokenEntry {
  readonly name: string;
  /** SHA-256 of the token, as 64 hexadecimal digits. */
  readonly sha256: string;
  readonly grants: readonly Grant[];
  /** Wall clock, milliseconds since the epoch; undefined: never. */
  readonly expiresAtMs: number | undefined;
}

/** An entry as it is written. */
export interface TokenRecord {
  readonly name: string;
  readonly sha256: string;
  readonly role: Role;
  readonly pools: readonly string[];
  /** ISO 8601, such as "2027-01-31T00:00:00Z". */
  readonly expires?: string;
}

const PREFIX = "pm_";
const RANDOM_BYTES = 32;

/** A new token: "pm_" and 43 characters. */
export function newToken(): string {
  return PREFIX + randomBytes(RANDOM_BYTES).toString("base64url");
}

/** What a token's file holds of it. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** What a token is called: 1 to 63 letters, digits, ".", "_" and "-". */
export function isTokenName(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9._-]{1,63}$/.test(value);
}

/** The text of a tokens file, one line for each token. */
export function writeTokens(records: readonly TokenRecord[]): string {
  return `{ "tokens": [\n${records.map((each) => `  ${JSON.stringify(each)}`).join(",\n")}\n] }\n`;
}

/** The records of a tokens file. Adds what is wrong with it to `mistakes`. */
export function readTokenRecords(text: string, mistakes: Mistakes): TokenRecord[] {
  const root = mistakes.object(mistakes.json(text), "", ["tokens"]);
  const records = mistakes.list(root?.tokens, "tokens").map((each, at) => record(each, `tokens[${at}]`, mistakes));
  const known = records.filter((each) => each !== undefined);
  for (const field of ["name", "sha256"] as const) {
    const seen = new Set<string>();
    known.forEach((each, at) => {
      if (seen.has(each[field])) mistakes.add(`tokens[${at}].${field}`, "is there twice");
      seen.add(each[field]);
    });
  }
  return known;
}

/** The tokens of a file by their hashes. */
export function tokensByHash(records: readonly TokenRecord[]): ReadonlyMap<string, TokenEntry> {
  return new Map(records.map((each) => [each.sha256, toEntry(each)]));
}

function toEntry({ name, sha256, role, pools, expires }: TokenRecord): TokenEntry {
  const expiresAtMs = expires === undefined ? undefined : Date.parse(expires);
  return { name, sha256, grants: [grantOf(role, pools)], expiresAtMs };
}

function record(value: unknown, at: string, mistakes: Mistakes): TokenRecord | undefined {
  const fields = mistakes.object(value, at, ["name", "sha256", "role", "pools", "expires"]);
  if (fields === undefined) return undefined;
  const { name, sha256, role, pools, expires } = fields;
  if (!isTokenName(name)) mistakes.add(`${at}.name`, 'use 1 to 63 letters, digits, ".", "_" or "-"');
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
    mistakes.add(`${at}.sha256`, "use the 64 hexadecimal digits that `poolmesh token new` writes");
  }
  mistakes.oneOf(role, `${at}.role`, ROLES);
  mistakes.each(pools, `${at}.pools`, isPoolPattern, 'use pool names, with "*" for any characters');
  if (expires !== undefined && (typeof expires !== "string" || !Number.isFinite(Date.parse(expires)))) {
    mistakes.add(`${at}.expires`, 'use a date such as "2027-01-31T00:00:00Z"');
  }
  return fields as unknown as TokenRecord;
}
