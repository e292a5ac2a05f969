/** How values are written, on the page and in the terminal alike. Pure. */

/** 0.734 → "73 %"; only a full pool reads "100 %", and only an idle one "0 %". */
export function percent(share: number): string {
  const clamped = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 1));
  const rounded = Math.round(clamped * 100);
  if (rounded === 100 && clamped < 1) return "99 %";
  if (rounded === 0 && clamped > 0) return "1 %";
  return `${rounded} %`;
}

/** Milliseconds as a person says them: "0 ms", "340 ms", "2.4 s", "48 s", "4 min 12 s", "3 h 5 min", "2 d 4 h". */
export function duration(ms: number): string {
  if (!(ms > 0)) return "0 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return pair(seconds, 3_600, "h", 60, "min");
  return pair(seconds, 86_400, "d", 3_600, "h");
}

/** An age in whole seconds, which does not flicker: "now", "4 s", "2 min 3 s". */
export function age(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1_000);
  if (seconds < 1) return "now";
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1_000);
}

/** Whole numbers with thin gaps, short from 100,000 on: "12 480", "1.25 M". */
export function count(value: number | bigint): string {
  const number = Number(value);
  if (number >= 1e9) return `${(number / 1e9).toPrecision(3)} G`;
  if (number >= 1e6) return `${(number / 1e6).toPrecision(3)} M`;
  if (number >= 1e5) return `${Math.floor(number / 1e3)} k`;
  return Math.floor(number)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Events a second: "0", "0.4", "7.5", "41", "1 240". */
export function rate(perSecond: number): string {
  if (!(perSecond >= 0.05)) return "0";
  return perSecond < 9.95 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

/** "1 worker", "3 workers". */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function pair(seconds: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const head = Math.floor(seconds / big);
  const tail = Math.floor((seconds % big) / small);
  return tail === 0 ? `${head} ${bigUnit}` : `${head} ${bigUnit} ${tail} ${smallUnit}`;
}
