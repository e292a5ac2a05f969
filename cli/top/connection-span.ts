/** The connection in a few words. Pure. */

import { age } from "../../browser/format.js";
import type { Connection } from "../../browser.js";
import { type Span, span } from "./line.js";

/** The words for the head line. */
export function connectionSpan(connection: Connection | undefined): Span {
  switch (connection?.state) {
    case undefined:
      return span("◌ connecting", "soft");
    case "connecting":
      return connection.attempt === 1 ? span("◌ connecting", "soft") : span("◌ reconnecting", "amber");
    case "live":
      return span("● live", "water");
    case "stale":
      return span(`◐ stale for ${age(Math.max(1_000, connection.staleAgeMs))}`, "amber");
    case "disconnected":
      return span("✕ disconnected, trying again", "coral");
  }
}
