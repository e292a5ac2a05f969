/**
 * The page's two streams, and when they are open.
 *
 * A browser opens at most six HTTP/1.1 connections to one origin, for all of its
 * tabs together. Capacity (parked jobs, rates, totals) and workers (rows) are two
 * streams of the meter, so a visible page holds two of the six. A hidden page holds
 * none: both streams end when the page is left, and half a minute after it is hidden.
 * When it is visible again both start anew with a snapshot.
 */
import { type CapacityView, type WorkersView, watchCapacity, watchWorkers } from "../../../browser.js";
import type { Session } from "./control/session.js";

/** How long a hidden page keeps its streams, in milliseconds. */
const HIDDEN_GRACE_MS = 30_000;

/** Who gets the messages of the streams. */
export interface FeedListener {
  readonly onCapacity: (view: CapacityView) => void;
  readonly onWorkers: (view: WorkersView) => void;
  /** The streams begin anew, so charts have a gap. */
  readonly onOpen: () => void;
}

/** Opens and closes the streams as the page is seen. */
export class Feed {
  #controller: AbortController | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly session: Session,
    readonly listener: FeedListener,
  ) {}

  /** Opens now, and follows the page's visibility from here on. */
  start(): void {
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.open());
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
    this.open();
  }

  /** Opens both streams unless they are open. */
  open(): void {
    if (this.#controller !== undefined) return;
    const controller = new AbortController();
    this.#controller = controller;
    this.listener.onOpen();
    const { signal } = controller;
    const { token } = this.session;
    void this.#follow(watchCapacity({ signal, token, minIntervalMs: 100 }), this.listener.onCapacity);
    void this.#follow(watchWorkers({ signal, token, minIntervalMs: 200 }), this.listener.onWorkers);
  }

  /** Closes both streams. */
  close(): void {
    this.#controller?.abort();
    this.#controller = undefined;
  }

  /** Tries again now, without the rest of the wait. */
  retryNow(): void {
    this.close();
    this.open();
  }

  async #follow<V>(views: AsyncIterable<V>, hear: (view: V) => void): Promise<void> {
    const controller = this.#controller;
    try {
      for await (const view of views) {
        if (this.#controller !== controller) return;
        hear(view);
      }
    } catch {
      // What another attempt cannot mend: the last view has said why.
    }
  }

  #visibilityChanged(): void {
    clearTimeout(this.#hiddenTimer);
    if (document.visibilityState === "visible") this.open();
    else this.#hiddenTimer = setTimeout(() => this.close(), HIDDEN_GRACE_MS);
  }
}
