/**
 * The rows of one pool, by worker id and process.
 *
 * Pure. Two facts are kept longer than a row: the job counts of processes that are
 * gone, so a pool's counters never fall while the pool is known; and which ids more
 * than one live process uses.
 */
import type { Rivals } from "./rivals.js";
import { isLive, type WorkerRow } from "./worker-row.js";

/** All processes under one worker id. */
export interface WorkerId {
  readonly rows: Map<bigint, WorkerRow>;
  /** The highest incarnation that was ever a row. */
  newest: bigint;
  rivals: Rivals | undefined;
  conflict: boolean;
}

/** The rows of one pool. */
export class PoolRows {
  readonly ids = new Map<string, WorkerId>();
  readonly rows = new Set<WorkerRow>();
  /** Jobs done and failed of processes that are gone. */
  goneDone = 0;
  goneFailed = 0;
  /** Ids that more than one live process uses. */
  conflicts = 0;

  constructor(readonly name: string) {}

  /** Adds the row of a process that was not known. */
  add(row: WorkerRow): WorkerId {
    let id = this.ids.get(row.worker);
    if (id === undefined) {
      id = { rows: new Map(), newest: row.incarnation, rivals: undefined, conflict: false };
      this.ids.set(row.worker, id);
    }
    if (row.incarnation > id.newest) id.newest = row.incarnation;
    id.rows.set(row.incarnation, row);
    this.rows.add(row);
    return id;
  }

  /** Takes a row away; its id is forgotten with its last row. */
  remove(row: WorkerRow): void {
    const id = this.ids.get(row.worker);
    if (id === undefined || !this.rows.delete(row)) return;
    this.goneDone += row.done;
    this.goneFailed += row.failed;
    id.rows.delete(row.incarnation);
    if (id.rows.size > 0) return;
    if (id.conflict) this.conflicts -= 1;
    this.ids.delete(row.worker);
  }

  /** Sets or clears the conflict of one id's rows; returns those that changed. */
  judgeConflict(worker: string): WorkerRow[] {
    const id = this.ids.get(worker);
    if (id === undefined || (id.rows.size < 2 && !id.conflict)) return [];
    const rows = [...id.rows.values()];
    const conflict = rows.filter(isLive).length > 1;
    if (conflict !== id.conflict) this.conflicts += conflict ? 1 : -1;
    id.conflict = conflict;
    const changed = rows.filter((row) => row.conflict !== (conflict && isLive(row)));
    for (const row of changed) row.conflict = !row.conflict;
    return changed;
  }
}
