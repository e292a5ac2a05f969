/**
 * Turns what a caller shows into a caller: a static token, a signed token, the name
 * in a client certificate, or nothing.
 *
 * Without a policy everybody may view and submit, and one token gives control.
 */
import { timingSafeEqual } from "node:crypto";
import { PoolError } from "../errors.js";
import { Caller } from "./caller.js";
import type { ClientCertificate } from "./client-certificate.js";
import { grantsOfCertificate, grantsOfEveryone } from "./policy/policy.js";
import type { PolicyKeeper } from "./policy/policy-keeper.js";
import type { Grant } from "./policy/roles.js";
import { hashToken } from "./policy/tokens.js";
import { expired, unauthenticated, wrongToken } from "./refusals.js";
import { callerOfSigned } from "./signed-tokens.js";

const EVERY_POOL = ["*"];
const OPEN: readonly Grant[] = [{ rights: ["view", "jobs", "submit", "cancel", "read"], pools: EVERY_POOL }];
const WITH_CONTROL: readonly Grant[] = [...OPEN, { rights: ["control"], pools: EVERY_POOL }];

/** Who somebody is. */
export interface Identity {
  /** Whether a bearer token can mean anything here. */
  readonly takesTokens: boolean;
  /** Somebody who shows nothing. */
  nobody(): Caller;
  /** The holder of a client certificate that the server's CA has signed. */
  ofCertificate(certificate: ClientCertificate): Caller;
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

  ofCertificate({ name, endsAtMs }: ClientCertificate): Caller {
    if (isPast(endsAtMs)) throw unauthenticated("the client certificate has expired; get a new one");
    const grants = (): Grant[] => (isPast(endsAtMs) ? [] : grantsOfCertificate(this.#keeper.now.policy, name));
    return new Caller({ name: `cert:${name}`, proof: "certificate", grants });
  }

  ofToken(token: string): Caller | Promise<Caller> {
    const sha256 = hashToken(token);
    const entry = this.#keeper.now.tokens.get(sha256);
    if (entry === undefined) return callerOfSigned(this.#keeper, token);
    if (isPast(entry.expiresAtMs)) throw expired();
    const grants = (): readonly Grant[] => {
      const { tokens, policy } = this.#keeper.now;
      const now = tokens.get(sha256);
      return now === undefined || isPast(now.expiresAtMs) ? [] : [...now.grants, ...grantsOfEveryone(policy)];
    };
    return new Caller({ name: `token:${entry.name}`, proof: "token", grants });
  }
}

function unusableToken(): PoolError {
  const text = "controlToken: use printable ASCII characters without a space, as an HTTP header carries them";
  return new PoolError("invalid_argument", text, { field: "controlToken" });
}

function isPast(wallMs: number | undefined): boolean {
  return wallMs !== undefined && Date.now() >= wallMs;
}

function digest(token: string): Buffer {
  return Buffer.from(hashToken(token), "hex");
}
