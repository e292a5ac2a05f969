/**
 * How each job of a batch ended: two bits a job. Pure.
 *
 * Decided here: a mark may be made twice, in any order. A job that failed or was canceled may
 * succeed later, when its dead letter is retried; nothing takes a success back.
 */

/** How a job of a batch ended. "failed" is every error other than `canceled`. */
export type MemberEnd = "succeeded" | "failed" | "canceled";

/** How many jobs ended how. */
export type EndCounts = Readonly<Record<MemberEnd, number>>;

const ENDS: readonly (MemberEnd | undefined)[] = [undefined, "succeeded", "failed", "canceled"];
const JOBS_PER_BYTE = 4;

/** Marks of a batch, by the jobs' places. As long as the highest place needs. */
export type Marks = Uint8Array;

/** How the job at a place ended; undefined while it has not. */
export function endAt(marks: Marks, index: number): MemberEnd | undefined {
  const bits = (marks[Math.floor(index / JOBS_PER_BYTE)] ?? 0) >> shift(index);
  return ENDS[bits & 3];
}

/** Whether a mark says something new. */
export function isNews(before: MemberEnd | undefined, end: MemberEnd): boolean {
  return before === undefined || (before !== "succeeded" && end === "succeeded");
}

/** Writes into `marks`, which must be long enough: see {@link grown}. */
export function setEnd(marks: Marks, index: number, end: MemberEnd): void {
  const at = Math.floor(index / JOBS_PER_BYTE);
  const others = (marks[at] ?? 0) & ~(3 << shift(index));
  marks[at] = others | (ENDS.indexOf(end) << shift(index));
}

/** A copy with room for the job at a place. */
export function grown(marks: Marks, index: number): Marks {
  const copy = new Uint8Array(Math.max(marks.length, Math.floor(index / JOBS_PER_BYTE) + 1));
  copy.set(marks);
  return copy;
}

/** The place after the highest one with a mark; 0 without any. */
export function endOfMarks(marks: Marks): number {
  for (let index = marks.length * JOBS_PER_BYTE - 1; index >= 0; index -= 1) {
    if (endAt(marks, index) !== undefined) return index + 1;
  }
  return 0;
}

function shift(index: number): number {
  return (index % JOBS_PER_BYTE) * 2;
}
