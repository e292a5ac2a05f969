/**
 * Judges silence, after a check that this meter itself can hear.
 *
 * Decided here: silence counts only while this meter's own connection is known to be
 * good. When nothing at all is heard, a round trip to the broker is made first. Until
 * it ends no worker is judged, and after a second without its end the meter is stale.
 * So a meter that was cut off, suspended or slow shows old values as old, and not
 * workers as LOST. Afterwards every worker has three of its intervals to be heard.
 *
 * It checks ten times a second while somebody watches, a worker is quiet or the
 * broker is in doubt. Else it checks when it is told to, which is once a second.
 */
import type { Bus } from "../../../mesh/link/bus.js";
import type { Listener } from "../listener.js";
import type { Prober } from "../prober.js";
import type { View } from "../streams/view.js";
import type { Freshness } from "./freshness.js";

/** The time between two checks while there is a reason to hurry, in milliseconds. */
const LOOK_MS = 100;
/** After this long without any message, a round trip to the broker comes before any judgement, in milliseconds. */
const CHECK_LINK_AFTER_MS = 200;
/** After this long without a heartbeat or a round trip the meter is stale, in milliseconds. */
const STALE_AFTER_MS = 1_000;
const ROUND_TRIP_LIMIT_MS = 1_000;

/** What it needs. */
export interface LivenessParts {
  readonly bus: Bus;
  readonly listener: Listener;
  readonly prober: Prober;
  readonly view: View;
  readonly freshness: Freshness;
  readonly nowMs: () => number;
  /** Called when the meter becomes stale or fresh. */
  readonly onFreshness: () => void;
  /** Whether somebody waits for changes now. */
  readonly isWatched: () => boolean;
}

/** Judges silence. */
export class Liveness {
  readonly #parts: LivenessParts;
  readonly #off: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #linkMs = Number.NEGATIVE_INFINITY;
  #checking = false;

  constructor(parts: LivenessParts) {
    this.#parts = parts;
  }

  /** Begins to judge. Resolves once the broker has answered and the meter is fresh. */
  async start(): Promise<void> {
    const { bus, nowMs } = this.#parts;
    this.#off.push(
      bus.on("disconnect", () => this.#lose(nowMs())),
      bus.on("reconnect", () => void this.#onReconnect()),
    );
    this.#running = true;
    this.#lookSoon();
    await this.#onReconnect();
  }

  /** Checks now, if there is no check under way that hurries. */
  check(): void {
    if (this.#running && this.#timer === undefined) this.#look();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const off of this.#off) off();
    this.#off.length = 0;
  }

  async #onReconnect(): Promise<void> {
    this.#parts.prober.onReconnect();
    this.#parts.listener.connected();
    await this.#checkLink();
  }

  #lookSoon(): void {
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    this.#timer = undefined;
    if (!this.#judge() || this.#parts.isWatched()) this.#lookSoon();
  }

  /** Judges every worker, if the broker is heard. Says whether all is well. */
  #judge(): boolean {
    const { bus, listener, view, prober, nowMs } = this.#parts;
    const now = nowMs();
    if (!bus.connected) return false;
    const heardMs = Math.max(listener.heardMs, this.#linkMs);
    if (now - heardMs > CHECK_LINK_AFTER_MS) {
      if (now - heardMs > STALE_AFTER_MS) this.#lose(heardMs);
      void this.#checkLink();
      return false;
    }
    if (this.#parts.freshness.stale) {
      void this.#checkLink();
      return false;
    }
    const quiet = view.sweep(now);
    prober.check(quiet, now);
    return quiet.length === 0;
  }

  async #checkLink(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    const ok = await this.#parts.bus.flush(ROUND_TRIP_LIMIT_MS);
    this.#checking = false;
    if (!ok || !this.#running) return;
    this.#linkMs = this.#parts.nowMs();
    if (!this.#parts.freshness.regain()) return;
    this.#parts.view.forgiveSilence(this.#linkMs);
    this.#parts.onFreshness();
  }

  #lose(fromMs: number): void {
    if (this.#parts.freshness.lose(fromMs)) this.#parts.onFreshness();
  }
}
