/**
 * The policy file: how callers are known and what they may do.
 *
 * Pure: text in, a checked policy out, or one error that lists every mistake.
 */
import { isLoopback } from "../../http/origin-rule.js";
import { Mistakes } from "./mistakes.js";
import { type Grant, grantOf, isPoolPattern, ROLES, type Role } from "./roles.js";

/** How signed tokens (JWT) are checked. */
export interface JwtRules {
  /** A URL, or a path as the policy file says it. */
  readonly jwks: string;
  readonly issuer: string;
  readonly audience: string;
  /** By how much clocks may differ, in seconds; default 5. */
  readonly clockToleranceSeconds: number;
}

/** Whom a grant is for. */
export type Who =
  | { readonly kind: "everyone" }
  | { readonly kind: "jwt" | "cert"; readonly name: string }
  | { readonly kind: "claim"; readonly claim: string; readonly value: string };

/** What somebody may do. */
export interface PolicyGrant {
  readonly who: Who;
  readonly grant: Grant;
}

/** A policy. */
export interface Policy {
  /** The tokens file, as the policy file says it. */
  readonly tokens: string | undefined;
  readonly jwt: JwtRules | undefined;
  readonly grants: readonly PolicyGrant[];
}

const DEFAULT_TOLERANCE_SECONDS = 5;
const MAX_TOLERANCE_SECONDS = 300;
/** The name of a claim may be a URL: a colon before "//", or before a port and "/", does not end it. */
const WHO = /^(jwt|cert)(?:\.((?:[^:]|:(?=\/\/)|:(?=\d{1,5}\/)){1,200}))?:(.{1,200})$/s;
const WHO_HELP = 'use "everyone", "jwt:SUBJECT", "jwt.CLAIM:VALUE" or "cert:COMMON-NAME"';

/** @param file the option that names it. @throws PoolError `invalid_argument` that lists every mistake */
export function parsePolicy(text: string, file: string): Policy {
  const mistakes = new Mistakes();
  const root = mistakes.object(mistakes.json(text), "", ["tokens", "jwt", "grants"]) ?? {};
  const tokens =
    root.tokens === undefined ? undefined : mistakes.text(root.tokens, "tokens", "use the path of a tokens file");
  const jwt = root.jwt === undefined ? undefined : jwtRules(root.jwt, mistakes);
  const grants = mistakes.list(root.grants, "grants").flatMap((each, at) => grant(each, `grants[${at}]`, mistakes));
  if (root.jwt === undefined) {
    grants.forEach(({ who }, at) => {
      if (who.kind === "jwt" || who.kind === "claim") mistakes.add(`grants[${at}].who`, "needs jwt, which is not set");
    });
  }
  mistakes.throwIfAny(file);
  return { tokens, jwt, grants };
}

/** The grants of everybody, whoever it is. */
export function grantsOfEveryone(policy: Policy): Grant[] {
  return pickGrants(policy, () => false);
}

/** The grants of a certificate's holder. */
export function grantsOfCertificate(policy: Policy, name: string): Grant[] {
  return pickGrants(policy, (who) => who.kind === "cert" && who.name === name);
}

/** The grants of a signed token. @param claims its payload */
export function grantsOfClaims(policy: Policy, claims: Readonly<Record<string, unknown>>): Grant[] {
  return pickGrants(policy, (who) => {
    if (who.kind === "jwt") return claims.sub === who.name;
    if (who.kind !== "claim") return false;
    const said = claimOf(claims, who.claim);
    return Array.isArray(said) ? said.includes(who.value) : said === who.value;
  });
}

/** A claim by its name; else, when the name has dots, the field that they lead to, such as `realm_access.roles`. */
function claimOf(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split(".").reduce<unknown>((at, step) => {
    return typeof at === "object" && at !== null && Object.hasOwn(at, step) ? at[step as keyof typeof at] : undefined;
  }, claims);
}

function pickGrants(policy: Policy, isFor: (who: Who) => boolean): Grant[] {
  return policy.grants.filter(({ who }) => who.kind === "everyone" || isFor(who)).map((each) => each.grant);
}

function jwtRules(value: unknown, mistakes: Mistakes): JwtRules | undefined {
  const known = ["jwks", "issuer", "audience", "clockToleranceSeconds"];
  const fields = mistakes.object(value, "jwt", known);
  if (fields === undefined) return undefined;
  const { clockToleranceSeconds: tolerance = DEFAULT_TOLERANCE_SECONDS } = fields;
  const jwks = mistakes.text(fields.jwks, "jwt.jwks", "use the path or the https URL of a key set (JWKS)") ?? "";
  if (isUrl(jwks) && !isSafeUrl(jwks)) mistakes.add("jwt.jwks", "use https: keys that come in the clear prove nothing");
  const issuer = mistakes.text(fields.issuer, "jwt.issuer", "use the `iss` of the tokens") ?? "";
  const audience =
    mistakes.text(fields.audience, "jwt.audience", "use the `aud` of the tokens, such as poolmesh") ?? "";
  const isNumber = typeof tolerance === "number" && tolerance >= 0 && tolerance <= MAX_TOLERANCE_SECONDS;
  if (!isNumber) mistakes.add("jwt.clockToleranceSeconds", `use a number from 0 to ${MAX_TOLERANCE_SECONDS}`);
  return { jwks, issuer, audience, clockToleranceSeconds: Number(tolerance) };
}

/** Whether a key set is fetched rather than read. */
export function isUrl(jwks: string): boolean {
  return /^[a-z]+:\/\//i.test(jwks);
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

function grant(value: unknown, at: string, mistakes: Mistakes): PolicyGrant[] {
  const fields = mistakes.object(value, at, ["who", "role", "pools"]);
  if (fields === undefined) return [];
  const who = toWho(fields.who);
  if (who === undefined) mistakes.add(`${at}.who`, WHO_HELP);
  const role = mistakes.oneOf<Role>(fields.role, `${at}.role`, ROLES);
  const pools = mistakes.each(
    fields.pools,
    `${at}.pools`,
    isPoolPattern,
    'use pool names, with "*" for any characters',
  );
  return who === undefined || role === undefined ? [] : [{ who, grant: grantOf(role, pools) }];
}

function toWho(value: unknown): Who | undefined {
  if (value === "everyone") return { kind: "everyone" };
  const match = WHO.exec(typeof value === "string" ? value : "");
  const [, kind, claim, name] = match ?? [];
  if (name === undefined || (kind === "cert" && claim !== undefined)) return undefined;
  if (claim !== undefined) return { kind: "claim", claim, value: name };
  return { kind: kind as "jwt" | "cert", name };
}
