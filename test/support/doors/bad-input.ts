/** What outsiders send that is not acceptable: one list for every door. */

/** Names that break the name rule, by what is wrong with them. */
export const BAD_NAMES: Readonly<Record<string, string>> = {
  empty: "",
  "a dot": ".",
  "two tokens": "a.b",
  "a wildcard": "*",
  "a full wildcard": ">",
  "a space": "a b",
  "a tab": "a\tb",
  "CR LF and protocol": "a 0\r\n\r\nPUB pool.inputs.job 2\r\n41\r\nPUB x",
  NUL: "a\0b",
  "a control character": "a\u0007b",
  "a zero-width character": "a\u200bb",
  "a letter beyond ASCII": "ä",
  "a system subject": "$JS",
  "a leading dash": "-a",
  "64 characters": "a".repeat(64),
  "10,000 characters": "a".repeat(10_000),
};

/** Timeouts that are no timeout, as text in a header. */
export const BAD_TIMEOUT_TEXTS = ["0", "-1", "NaN", "1e308", "1.5", "2147483648", "99999999999999999999", " 5", "0x10"];

/** Timeouts that are no timeout, as numbers. */
export const BAD_TIMEOUTS = [0, -1, Number.NaN, 1e308, Number.POSITIVE_INFINITY, 2 ** 31];
