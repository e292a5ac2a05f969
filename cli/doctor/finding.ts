/** What a check has found. */
export interface Finding {
  /** "ok", "note" for what is worth knowing, "bad" for what must be changed. */
  readonly state: "ok" | "note" | "bad";
  /** What was looked at, such as "max_payload". */
  readonly what: string;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** The symbol of each state. */
export const SYMBOLS = { ok: "✔", note: "•", bad: "✖" } as const;
