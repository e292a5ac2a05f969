/**
 * Reads what somebody threw. It may be anything: null, a revoked proxy, an object whose getters throw. Nothing here throws.
 */

/** What `work` gives; undefined when it throws. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** `value instanceof type`, also for what cannot be asked. */
export function isA<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  return attempt(() => value instanceof type) === true;
}

/** Its message; that of a value that is no error is the value as text. */
export function thrownText(thrown: unknown): string {
  const message = isA(thrown, Error) ? attempt(() => thrown.message) : attempt(() => String(thrown));
  return typeof message === "string" ? message : "a value that has no text was thrown";
}

/** Its stack; undefined when it has none. */
export function thrownStack(thrown: unknown): string | undefined {
  const stack = isA(thrown, Error) ? attempt(() => thrown.stack) : undefined;
  return typeof stack === "string" ? stack : undefined;
}
