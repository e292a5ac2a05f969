/** Picks events out of a history. Pure. */
import type { FaultEvent, Recorded } from "../history.js";

type OfKind<K extends FaultEvent["kind"]> = Recorded<Extract<FaultEvent, { kind: K }>>;

/** The events of one kind, in their order. */
export function pick<K extends FaultEvent["kind"]>(events: readonly Recorded[], kind: K): OfKind<K>[] {
  return events.filter((event): event is OfKind<K> => event.kind === kind);
}

/** Items by a key, in their order. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Which of `wanted` is not as seen, such as "busy 1 instead of 0". */
export function differences(
  seen: Readonly<Record<string, number>>,
  wanted: Readonly<Record<string, number>>,
): string[] {
  return Object.entries(wanted)
    .filter(([name, value]) => seen[name] !== value)
    .map(([name, value]) => `${name} ${seen[name] ?? "unknown"} instead of ${value}`);
}
