/** What a connection may publish and subscribe to. */
import { SubjectPattern } from "./subject-match.js";

/** Patterns; without `allow` everything is allowed that `deny` does not name. */
export interface SubjectRule {
  allow?: readonly string[];
  deny?: readonly string[];
}

/** The permissions of one connection, as in nats-server's configuration. */
export interface Permissions {
  publish?: SubjectRule;
  subscribe?: SubjectRule;
}

/** One rule, compiled. */
export class CompiledRule {
  readonly #allow: readonly SubjectPattern[] | undefined;
  readonly #deny: readonly SubjectPattern[];

  constructor(rule: SubjectRule = {}) {
    this.#allow = rule.allow?.map((each) => new SubjectPattern(each));
    this.#deny = (rule.deny ?? []).map((each) => new SubjectPattern(each));
  }

  allows(subject: string): boolean {
    if (this.#deny.some((each) => each.matches(subject))) return false;
    return this.#allow === undefined || this.#allow.some((each) => each.matches(subject));
  }
}
