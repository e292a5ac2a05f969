/**
 * Roles and grants: which rights a role has, and in which pools.
 *
 * Pure. Each role may do what the one before it may, but for one thing: a viewer sees everybody's jobs, and a
 * submitter its own. Who is to do both has both roles.
 */
import type { Right } from "../rights.js";

/** The roles, from the least to the most. */
export const ROLES = ["viewer", "submitter", "operator", "admin"] as const;
/** What a grant gives. */
export type Role = (typeof ROLES)[number];

const RIGHTS_OF: Record<Role, readonly Right[]> = {
  viewer: ["view", "jobs"],
  submitter: ["view", "submit"],
  operator: ["view", "jobs", "submit", "cancel", "control"],
  admin: ["view", "jobs", "submit", "cancel", "control", "read"],
};

/** Some rights in some pools. */
export interface Grant {
  readonly rights: readonly Right[];
  /** Names of pools, where "*" stands for any characters. */
  readonly pools: readonly string[];
}

/** The grant of a role. */
export function grantOf(role: Role, pools: readonly string[]): Grant {
  return { rights: RIGHTS_OF[role], pools };
}

/** Whether a text is a pattern of pool names: a name in which "*" stands for any characters. */
export function isPoolPattern(text: unknown): text is string {
  return typeof text === "string" && /^[A-Za-z0-9_*-]{1,63}$/.test(text);
}

/** Whether grants give a right in a pool. @param pool "" for all pools: only a grant for "*" gives that */
export function isGranted(grants: readonly Grant[], right: Right, pool: string): boolean {
  return right === "open" || grants.some((each) => each.rights.includes(right) && coversPool(each.pools, pool));
}

/** Whether grants give a right in one pool at least. */
export function isGrantedAnywhere(grants: readonly Grant[], right: Right): boolean {
  return right === "open" || grants.some((each) => each.rights.includes(right));
}

/** The pools in which grants give a right, as their patterns. */
export function poolsWith(grants: readonly Grant[], right: Right): string[] {
  return [...new Set(grants.filter((each) => each.rights.includes(right)).flatMap(({ pools }) => pools))];
}

function coversPool(patterns: readonly string[], pool: string): boolean {
  return patterns.some((pattern) => pattern === "*" || (pool !== "" && matches(pattern, pool)));
}

/** Whether a name fits a pattern. Each "*" takes as little as it can, so the time is bounded by both lengths. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const [first = "", ...rest] = parts;
  if (rest.length === 0) return pattern === name;
  const last = rest.pop() ?? "";
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - last.length;
}
