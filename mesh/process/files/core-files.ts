/** Core files: what a process that crashes leaves on the disk. */
import { writeFileSync } from "node:fs";

/** Which memory Linux writes into a core file of this process and of its children, as bits: see core(5). */
const FILTER = "/proc/self/coredump_filter";

/**
 * Keeps memory out of the core files of this process and of the processes that it starts, so that no token, password
 * or payload gets into one. A core file still has the registers and the list of what was mapped.
 * Only Linux can do this; elsewhere nothing happens.
 */
export function keepMemoryOutOfCoreFiles(): void {
  try {
    writeFileSync(FILTER, "0x0");
  } catch {
    // Not Linux, or /proc is not there: docs/security.md says what to do then.
  }
}
