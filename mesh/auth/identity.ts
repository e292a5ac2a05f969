/**
 * Turns what a caller shows into a caller: a static token, a signed token, the name
 * in a client certificate, or nothing.
 *
 * Without a policy everybody may view and submit, and one token gives control.
 */
import { timingSafeEqual } from "node:crypto";
import { errors, type JWTPayload, jwtVerify } from "jose";
import { PoolError } from "../errors.js";
import { Caller } from "./caller.js";
import { grantsOfCertificate, grantsOfClaims, grantsOfEveryone } from "./policy/policy.js";
import type { PolicyKeeper } from "./policy/policy-keeper.js";
import type { Grant } from "./policy/roles.js";
import { hashToken } from "./policy/tokens.js";
import { unauthenticated } from "./refusals.js";

/** How a signed token may be signed: with keys whose public half checks it. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
/** When to come back while the keys cannot be fetched, in milliseconds. */
const OUTAGE_RETRY_MS = 1_000;
const EVERY_POOL = ["*"];
const OPEN: readonly Grant[] = [{ rights: ["view", "submit", "cancel", "read"], pools: EVERY_POOL }];
const WITH_CONTROL: readonly Grant[] = [...OPEN, { rights: ["control"], pools: EVERY_POOL }];

/** Who somebody is. */
export interface Identity {
  /** Whether a bearer token can mean anything here. */
  readonly takesTokens: boolean;
  /** Somebody who shows nothing. */
  nobody(): Caller;
  /** The holder of a client certificate that the server's CA has signed. @param name its common name */
  ofCertificate(name: string): Caller;
  /** The bearer of a token. @throws PoolError `unauthenticated`: it is wrong, or not valid now */
  ofToken(token: string): Caller | Promise<Caller>;
}

/** Identity without a policy. */
export class OpenIdentity implements Identity {
  readonly #control: Buffer | undefined;

  /** @param controlToken gives control; undefined: nobody has it. @throws PoolError `invalid_argument` */
  constructor(controlToken: string | undefined) {
    if (controlToken !== undefined && !/^[\x21-\x7e]+$/.test(controlToken)) throw unusableToken();
    this.#control = controlToken === undefined ? undefined : digest(controlToken);
  }

  get takesTokens(): boolean {
    return this.#control !== undefined;
  }

  nobody(): Caller {
    return new Caller({ name: "", proof: "nothing", grants: () => OPEN, isUnbounded: true });
  }

  ofCertificate(): Caller {
    return this.nobody();
  }

  ofToken(token: string): Caller {
    if (this.#control === undefined || !timingSafeEqual(digest(token), this.#control)) throw wrongToken();
    return new Caller({ name: "control-token", proof: "token", grants: () => WITH_CONTROL, isUnbounded: true });
  }
}

/** Identity by a policy. */
export class PolicyIdentity implements Identity {
  readonly takesTokens = true;
  readonly #keeper: PolicyKeeper;

  constructor(keeper: PolicyKeeper) {
    this.#keeper = keeper;
  }

  nobody(): Caller {
    return new Caller({ name: "", proof: "nothing", grants: () => grantsOfEveryone(this.#keeper.now.policy) });
  }

  ofCertificate(name: string): Caller {
    const grants = (): Grant[] => grantsOfCertificate(this.#keeper.now.policy, name);
    return new Caller({ name: `cert:${name}`, proof: "certificate", grants });
  }

  ofToken(token: string): Caller | Promise<Caller> {
    const sha256 = hashToken(token);
    const entry = this.#keeper.now.tokens.get(sha256);
    if (entry === undefined) return this.#ofSigned(token);
    if (isPast(entry.expiresAtMs)) throw expired();
    const grants = (): readonly Grant[] => {
      const { tokens, policy } = this.#keeper.now;
      const now = tokens.get(sha256);
      return now === undefined || isPast(now.expiresAtMs) ? [] : [...now.grants, ...grantsOfEveryone(policy)];
    };
    return new Caller({ name: `token:${entry.name}`, proof: "token", grants });
  }

  async #ofSigned(token: string): Promise<Caller> {
    const { policy, keys } = this.#keeper.now;
    if (policy.jwt === undefined || keys === undefined || token.split(".").length !== 3) throw wrongToken();
    const { issuer, audience, clockToleranceSeconds } = policy.jwt;
    const rules = { issuer, audience, clockTolerance: clockToleranceSeconds, algorithms: ALGORITHMS };
    const { payload } = await jwtVerify(token, keys, { ...rules, requiredClaims: ["exp", "sub"] }).catch(refusal);
    if (typeof payload.sub !== "string" || payload.sub === "") throw wrongToken("it names no subject");
    return this.#ofClaims(payload, payload.sub);
  }

  #ofClaims(claims: JWTPayload, subject: string): Caller {
    const grants = (): Grant[] => {
      const { policy } = this.#keeper.now;
      if (policy.jwt === undefined || claims.iss !== policy.jwt.issuer) return [];
      const endsAtMs = ((claims.exp ?? 0) + policy.jwt.clockToleranceSeconds) * 1_000;
      return isPast(endsAtMs) ? [] : grantsOfClaims(policy, claims);
    };
    return new Caller({ name: `jwt:${subject}`, proof: "jwt", grants });
  }
}

/** Why a signed token is refused. What the token says is never repeated. */
function refusal(error: unknown): never {
  if (error instanceof errors.JWTExpired) throw expired();
  if (error instanceof errors.JWTClaimValidationFailed)
    throw wrongToken(`its claim ${error.claim} is not as it must be`);
  if (error instanceof errors.JOSEAlgNotAllowed) throw wrongToken("it is not signed in a way that is taken");
  if (isOutage(error)) throw unauthenticated("the keys that check it cannot be had now", OUTAGE_RETRY_MS);
  throw wrongToken("no key of the key set has signed it");
}

/** Whether the key set could not be fetched. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  return error instanceof errors.JWKSTimeout || error.code === "ERR_JOSE_GENERIC";
}

function unusableToken(): PoolError {
  const text = "controlToken: use printable ASCII characters without a space, as an HTTP header carries them";
  return new PoolError("invalid_argument", text, { field: "controlToken" });
}

function expired(): PoolError {
  return unauthenticated("the token has expired; get a new one");
}

function wrongToken(why = "this token is not known here"): PoolError {
  return unauthenticated(why);
}

function isPast(wallMs: number | undefined): boolean {
  return wallMs !== undefined && Date.now() >= wallMs;
}

function digest(token: string): Buffer {
  return Buffer.from(hashToken(token), "hex");
}
