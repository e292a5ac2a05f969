/** Which deliveries one manager holds of one pool, as it tells the other managers. Pure. */
import { parseJson } from "../job/codec.js";
import type { Priority } from "../wire/headers.js";
import { LEVELS } from "./names.js";

/** Sequences in the pool's stream, by level. */
export type HeldList = Readonly<Record<Priority, readonly number[]>>;

/** Sequences in one list; a manager that holds more tells of the first ones only. */
const MOST = 4_096;

export function encodeHeldList(list: HeldList): Uint8Array {
  let left = MOST;
  const told = LEVELS.map((level) => {
    const some = list[level].slice(0, left);
    left -= some.length;
    return [level, some];
  });
  return Buffer.from(JSON.stringify(Object.fromEntries(told)));
}

/** Undefined for what is no such list. */
export function decodeHeldList(payload: Uint8Array): HeldList | undefined {
  try {
    const said = parseJson(Buffer.from(payload).toString()) as Partial<Record<Priority, unknown>>;
    const lists = LEVELS.map((level) => said[level] ?? []);
    const isList = lists.every((list) => Array.isArray(list) && list.length <= MOST && list.every(isSequence));
    return isList
      ? (Object.fromEntries(LEVELS.map((level, i) => [level, lists[i]])) as unknown as HeldList)
      : undefined;
  } catch {
    return undefined;
  }
}

function isSequence(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** How many sequences a list has. */
export function sizeOf(list: HeldList): number {
  return list.high.length + list.normal.length + list.low.length;
}
