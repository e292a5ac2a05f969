/** Levels as messages name them. */
import { Priority as ProtoPriority } from "../../gen/poolmesh/v1/manager_pb.js";
import type { Priority } from "../wire/headers.js";

/** The message's value of each level. */
export const PROTO_PRIORITIES: Readonly<Record<Priority, ProtoPriority>> = {
  low: ProtoPriority.LOW,
  normal: ProtoPriority.NORMAL,
  high: ProtoPriority.HIGH,
};

/** The key of a value in such a table; undefined for a value that is not in it. */
export function keyOf<K extends string, V>(table: Readonly<Record<K, V>>, value: V): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}
