/** Says in the head of the page whether the values are live, and below it what it means when they are not. */

import { age } from "../../../browser/format.js";
import type { Connection } from "../../../browser.js";
import { byId, element, setAttribute, setText } from "./element.js";

/** The words for a connection. */
export interface StatusWords {
  /** Short, for the pill. */
  readonly pill: string;
  /** A sentence for the notice; empty while the values are live. */
  readonly notice: string;
}

/**
 * Words for a connection.
 *
 * @param sinceMs time since this state was entered, in milliseconds
 * @param heardMs time since anything was heard, in milliseconds; undefined for never
 */
export function statusWords(connection: Connection, sinceMs: number, heardMs: number | undefined): StatusWords {
  const asOf = heardMs === undefined ? "" : ` The values are ${age(Math.max(1_000, heardMs))} old.`;
  switch (connection.state) {
    case "live":
      return { pill: "live", notice: "" };
    case "connecting":
      if (heardMs === undefined) return { pill: "connecting", notice: "" };
      return { pill: "reconnecting", notice: `The meter cannot be reached. Trying again now.${asOf}` };
    case "stale": {
      const staleFor = age(Math.max(1_000, connection.staleAgeMs + sinceMs));
      return {
        pill: `stale for ${staleFor}`,
        notice: `The meter is cut off from the broker. The values are ${staleFor} old. Jobs may still run.`,
      };
    }
    case "disconnected": {
      const left = Math.max(0, connection.retryInMs - sinceMs);
      if (!Number.isFinite(left)) return { pill: "refused", notice: `The meter refuses: ${connection.error.message}` };
      const next = left < 1_000 ? "now" : `in ${age(left + 999)}`;
      return { pill: "disconnected", notice: `The meter cannot be reached. Trying again ${next}.${asOf}` };
    }
  }
}

/** Draws the words. */
export class StatusPill {
  readonly #pill = byId("connection");
  readonly #notice = byId("notice");
  readonly #text = element("p");
  #state = "";
  #sinceMs = 0;

  /** @param onRetry called when the reader asks for an attempt now */
  constructor(onRetry: () => void) {
    const retry = element("button", "quiet", "Try now");
    retry.type = "button";
    retry.addEventListener("click", onRetry);
    this.#notice.append(this.#text, retry);
  }

  /** @param heardAtMs when anything was heard, by the clock of `nowMs`; undefined for never */
  update(connection: Connection, heardAtMs: number | undefined, nowMs: number): void {
    const state = JSON.stringify([
      connection.state,
      "staleAgeMs" in connection && connection.staleAgeMs,
      "attempt" in connection && connection.attempt,
    ]);
    if (state !== this.#state) {
      this.#state = state;
      this.#sinceMs = nowMs;
    }
    const words = statusWords(
      connection,
      nowMs - this.#sinceMs,
      heardAtMs === undefined ? undefined : nowMs - heardAtMs,
    );
    setAttribute(document.body, "data-connection", connection.state);
    setText(this.#pill, words.pill);
    setText(this.#text, words.notice);
    this.#notice.hidden = words.notice === "" || heardAtMs === undefined;
  }
}
