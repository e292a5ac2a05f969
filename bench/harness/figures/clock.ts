/** The machine's monotonic clock: the same for all processes, unlike performance.now(). */

/** Milliseconds since the machine's start. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
