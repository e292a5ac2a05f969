/**
 * Signed tokens (JWT): whether one is right, and whether it still is.
 *
 * What a token says is never repeated in a message.
 */
import { errors, type JWTPayload, jwtVerify } from "jose";
import type { PoolError } from "../errors.js";
import { Caller } from "./caller.js";
import { isOutage } from "./policy/key-sets.js";
import { grantsOfClaims } from "./policy/policy.js";
import type { PolicyInForce, PolicyKeeper } from "./policy/policy-keeper.js";
import type { Grant } from "./policy/roles.js";
import { expired, unauthenticated, wrongToken } from "./refusals.js";

/** How a signed token may be signed: with keys whose public half checks it. */
const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
/** A token that does not name its key is checked with so many at most. */
const MOST_KEYS_TRIED = 8;
/** When to come back while the keys cannot be fetched, in milliseconds. */
const OUTAGE_RETRY_MS = 1_000;
/** How often a token in use is checked with keys that are fetched, in milliseconds. */
const FETCHED_CHECK_MS = 60_000;

/** The bearer of a signed token. Rejects with `unauthenticated`: it is wrong, or not valid now. */
export async function callerOfSigned(keeper: PolicyKeeper, token: string): Promise<Caller> {
  const judgedBy = keeper.now;
  return new SignedToken(keeper, token, await check(judgedBy, token), judgedBy).caller;
}

/** A token that was right when it came. */
class SignedToken {
  readonly caller: Caller;
  readonly #keeper: PolicyKeeper;
  readonly #token: string;
  readonly #claims: JWTPayload;
  #judgedBy: PolicyInForce;
  #judgedAtMs = performance.now();
  #isRight = true;

  constructor(keeper: PolicyKeeper, token: string, claims: JWTPayload, judgedBy: PolicyInForce) {
    this.#keeper = keeper;
    this.#token = token;
    this.#claims = claims;
    this.#judgedBy = judgedBy;
    const [grants, judge] = [() => this.#grants(), () => this.#judge()];
    this.caller = new Caller({ name: `jwt:${claims.sub}`, proof: "jwt", grants, judge });
  }

  #grants(): readonly Grant[] {
    const { policy } = this.#keeper.now;
    if (!this.#isRight || policy.jwt === undefined) return [];
    const endsAtMs = ((this.#claims.exp ?? 0) + policy.jwt.clockToleranceSeconds) * 1_000;
    return Date.now() >= endsAtMs ? [] : grantsOfClaims(policy, this.#claims);
  }

  /** Checks it again when the policy or the keys may be others than before; undefined when there is nothing to do. */
  #judge(): Promise<void> | undefined {
    const { now } = this.#keeper;
    const isOld = performance.now() - this.#judgedAtMs >= FETCHED_CHECK_MS;
    if (!this.#isRight || (now === this.#judgedBy && !(now.keys?.isFetched && isOld))) return undefined;
    this.#judgedBy = now;
    this.#judgedAtMs = performance.now();
    return check(now, this.#token).then(
      () => undefined,
      (error: PoolError) => {
        // When the keys cannot be fetched, nothing is known of the token.
        if (!error.retryable) this.#isRight = false;
      },
    );
  }
}

async function check({ policy, keys }: PolicyInForce, token: string): Promise<JWTPayload> {
  if (policy.jwt === undefined || keys === undefined || token.split(".").length !== 3) throw wrongToken();
  const { issuer, audience, clockToleranceSeconds } = policy.jwt;
  const shape = { algorithms: ALGORITHMS, requiredClaims: ["exp", "sub"] };
  const rules = { issuer, audience, clockTolerance: clockToleranceSeconds, ...shape };
  const claims = await verify(token, keys.find, rules).catch(refusal);
  if (typeof claims.sub !== "string" || claims.sub === "") throw wrongToken("it names no subject");
  return claims;
}

type Rules = Parameters<typeof jwtVerify>[2];
type FindKey = Parameters<typeof jwtVerify>[1];

async function verify(token: string, find: FindKey, rules: Rules): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, find as never, rules)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return verifyWithEach(token, error, rules);
    throw error;
  }
}

/** A token without the id of its key: any key of its kind may have signed it. */
async function verifyWithEach(token: string, keys: errors.JWKSMultipleMatchingKeys, rules: Rules): Promise<JWTPayload> {
  let tried = 0;
  for await (const key of keys) {
    tried += 1;
    try {
      return (await jwtVerify(token, key, rules)).payload;
    } catch (error) {
      // An unusable key may stand beside the right one; a token that a key has signed is right or wrong for good.
      const isOther = error instanceof errors.JWSSignatureVerificationFailed || !(error instanceof errors.JOSEError);
      if (!isOther) throw error;
    }
    if (tried === MOST_KEYS_TRIED) throw wrongToken(`it names no key (kid), and ${tried} keys did not sign it`);
  }
  throw new errors.JWSSignatureVerificationFailed();
}

/** Why a signed token is refused. */
function refusal(error: unknown): never {
  if (error instanceof errors.JWTExpired) throw expired();
  if (error instanceof errors.JWTClaimValidationFailed)
    throw wrongToken(`its claim ${error.claim} is not as it must be`);
  if (error instanceof errors.JOSEAlgNotAllowed) throw wrongToken("it is not signed in a way that is taken");
  if (isOutage(error)) throw unauthenticated("the keys that check it cannot be had now", OUTAGE_RETRY_MS);
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    throw wrongToken("no key of the key set has signed it");
  if (error instanceof errors.JOSEError) throw wrongToken("it is no signed token (JWT) that can be read");
  throw wrongToken("the key of the key set that should check it cannot be used: it is too weak or malformed");
}
