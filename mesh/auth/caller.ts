/**
 * Who calls, and what that one may do now.
 *
 * Pure. A caller's grants are looked up at every question, so that a policy that is
 * read again and a token that expires count for calls that are open already.
 */
import { createHash } from "node:crypto";
import { type Grant, isGranted, isGrantedAnywhere, poolsWith } from "./policy/roles.js";
import type { Right } from "./rights.js";

/** How a caller is known. */
export type Proof = "nothing" | "token" | "jwt" | "certificate";

/** One caller. */
export interface CallerFacts {
  /** "jwt:SUBJECT", "token:NAME", "cert:NAME", or "" for one that has said nothing. */
  readonly name: string;
  readonly proof: Proof;
  /** What it may do now; nothing when its token has expired or was taken away. */
  readonly grants: () => readonly Grant[];
  /** Checks again what it has shown, when that may have changed; undefined when there is nothing to check. */
  readonly judge?: () => Promise<void> | undefined;
  /** May cancel and read jobs of anybody and say whose share they count for: there is no policy. */
  readonly isUnbounded?: boolean;
}

/** Somebody who calls. */
export class Caller {
  readonly name: string;
  readonly proof: Proof;
  readonly isUnbounded: boolean;
  readonly #grants: () => readonly Grant[];
  readonly #judge: () => Promise<void> | undefined;

  constructor(facts: CallerFacts) {
    this.name = facts.name;
    this.proof = facts.proof;
    this.isUnbounded = facts.isUnbounded ?? false;
    this.#grants = facts.grants;
    this.#judge = facts.judge ?? (() => undefined);
  }

  /** Under which name its jobs are kept, and whose share of the parked queue they count for: its own name, or a digest of one that no header can carry. */
  get owner(): string {
    const { label } = this;
    if (/^[\x21-\x7e]{1,128}$/.test(label)) return label;
    return `${this.proof}#${createHash("sha256").update(label).digest("hex").slice(0, 32)}`;
  }

  /** Its name for a person. */
  get label(): string {
    return this.name === "" ? "nobody" : this.name;
  }

  /** For a call that stays open: checks again what it has shown, when that may have changed, before its rights are looked at. */
  judge(): Promise<void> | undefined {
    return this.#judge();
  }

  /** Whether it may do something in a pool; "" for all pools. */
  may(right: Right, pool: string): boolean {
    return isGranted(this.#grants(), right, pool);
  }

  /** Whether it may do something in one pool at least. */
  mayAnywhere(right: Right): boolean {
    return isGrantedAnywhere(this.#grants(), right);
  }

  /** Whether it sees everybody's jobs. This and the three that follow are the one rule of who sees whose jobs. @param pool "" for all pools */
  seesAllJobs(pool: string): boolean {
    return this.may("jobs", pool);
  }

  /** Whose jobs alone it sees; undefined when it sees everybody's. @param pool "" for all pools */
  onlyOwner(pool: string): string | undefined {
    return this.seesAllJobs(pool) ? undefined : this.owner;
  }

  /** Whether it sees a job, its id included. @param owner whose job it is; "" when that is not known */
  seesJob(pool: string, owner: string): boolean {
    return owner === this.owner || this.seesAllJobs(pool);
  }

  /** Whether it reads what a job carries: payload, outcome, and what an error says beyond its reason. */
  readsJob(pool: string, owner: string): boolean {
    return this.isUnbounded || owner === this.owner || this.may("read", pool);
  }

  /** Patterns of the pools in which it may. */
  poolsWith(right: Right): string[] {
    return poolsWith(this.#grants(), right);
  }
}
