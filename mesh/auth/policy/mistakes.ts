/**
 * Checks a file of JSON and collects everything that is wrong with it.
 *
 * Pure. Each mistake says where it is, such as `grants[2].role`, and what is allowed
 * there. No value of the file is repeated: it may be a secret.
 */

import { PoolError } from "../../errors.js";
import { parseJson } from "../../job/codec.js";
import { nearest } from "../../process/config.js";

/** The mistakes of one file. */
export class Mistakes {
  readonly #lines: string[] = [];

  /** @param at where it is; "" for the whole file */
  add(at: string, what: string): void {
    this.#lines.push(at === "" ? what : `${at}: ${what}`);
  }

  /** @param file the option that names the file. @throws PoolError `invalid_argument` with a line for each mistake */
  throwIfAny(file: string): void {
    if (this.#lines.length === 0) return;
    throw new PoolError("invalid_argument", `${file}:\n  ${this.#lines.join("\n  ")}`, { field: file });
  }

  /** The value of a JSON text; undefined and a mistake when it is none. */
  json(text: string): unknown {
    try {
      return parseJson(text);
    } catch {
      this.add("", "the file is not valid JSON");
      return undefined;
    }
  }

  /** An object whose keys are all among `known`. */
  object(value: unknown, at: string, known: readonly string[]): Record<string, unknown> | undefined {
    if (value === undefined && at === "") return undefined;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.add(at, "use an object {…}");
      return undefined;
    }
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const near = nearest(key, known);
      this.add(at === "" ? key : `${at}.${key}`, `unknown${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
    return value as Record<string, unknown>;
  }

  /** A list; no list and no mistake when it is not there. */
  list(value: unknown, at: string): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.add(at, "use a list […]");
    return [];
  }

  /** One of some words. */
  oneOf<T extends string>(value: unknown, at: string, allowed: readonly T[]): T | undefined {
    const found = allowed.find((each) => each === value);
    if (found === undefined) this.add(at, `use one of ${allowed.join(", ")}`);
    return found;
  }

  /** A list of one or more, each of which is as it should be. */
  each<T>(value: unknown, at: string, isRight: (each: unknown) => each is T, what: string): readonly T[] {
    if (!Array.isArray(value) || value.length === 0) {
      this.add(at, `use a list: ${what}`);
      return [];
    }
    value.forEach((each, index) => {
      if (!isRight(each)) this.add(`${at}[${index}]`, what);
    });
    return value as readonly T[];
  }

  /** A text that is not empty. */
  text(value: unknown, at: string, what: string): string | undefined {
    if (typeof value === "string" && value.trim() !== "") return value;
    this.add(at, what);
    return undefined;
  }
}
