/**
 * What a meter does on its connection: it subscribes, judges silence and probes.
 *
 * It is one object, so it exists only while there is a connection.
 */
import { AllJobs } from "../../mesh/inspect/all-jobs.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Inbox } from "../../mesh/link/inbox.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import type { ControlLine } from "./doors/control.js";
import { Listener } from "./listener.js";
import type { MeterState } from "./meter-state.js";
import { Prober } from "./prober.js";
import { Liveness } from "./registry/liveness.js";

/** The heartbeat subscriber, the liveness judge and the prober of one connection. */
export class Ears implements ControlLine {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  /** The jobs of all managers. */
  readonly jobs: AllJobs;
  readonly #listener: Listener;
  readonly #liveness: Liveness;
  readonly #prober: Prober;
  readonly #stopListening: () => void;

  /**
   * @param pools the pools to hear; undefined for all
   * @param onMessage called when a heartbeat has come
   */
  constructor(
    bus: Bus,
    subjects: Subjects,
    state: MeterState,
    pools: readonly string[] | undefined,
    onMessage: (nowMs: number) => void,
  ) {
    this.bus = bus;
    this.subjects = subjects;
    this.inbox = new Inbox(bus);
    const { view, tally, freshness, nowMs } = state;
    const { managers } = view;
    const known = (pool: string | undefined): string[] => managers.of(pool);
    this.jobs = new AllJobs({ bus, subjects, inbox: this.inbox, served: pools, managers: known });
    this.#listener = new Listener({ bus, subjects, pools, view, tally, nowMs, onMessage });
    this.#prober = new Prober({ bus, inbox: this.inbox, subjects, view, tally, nowMs });
    this.#liveness = new Liveness({
      bus,
      listener: this.#listener,
      prober: this.#prober,
      view,
      freshness,
      nowMs,
      onFreshness: () => state.changes.everythingChanged(),
      isWatched: () => state.changes.isWatched,
    });
    this.#stopListening = state.changes.onWatched(() => this.check());
  }

  /** Resolves when the broker has the subscriptions and has answered. */
  async start(): Promise<void> {
    this.#listener.start();
    await this.#liveness.start();
  }

  /** Judges silence now. */
  check(): void {
    this.#liveness.check();
  }

  stop(): void {
    this.#stopListening();
    this.#liveness.stop();
    this.#listener.stop();
    this.#prober.stop();
    this.inbox.stop();
  }
}
