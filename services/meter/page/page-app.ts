/**
 * Puts the page together: messages come in, each frame is drawn once, and a tick a
 * second updates ages. Not decided here: looks and words.
 */
import { plainText } from "../../../mesh/plain-text.js";
import { Announcer } from "./announcer.js";
import { Brand } from "./brand.js";
import { Hero } from "./charts/hero.js";
import { Lanes } from "./charts/lanes.js";
import { ControlDialog } from "./control/control-dialog.js";
import { Session } from "./control/session.js";
import { TokenDialog } from "./control/token-dialog.js";
import { byId, setText } from "./element.js";
import { Feed } from "./feed.js";
import { oncePerFrame } from "./frame.js";
import { readPageConfig } from "./page-config.js";
import { chosenCapacity, connectionNow, hasData, initialState, type PageState } from "./page-state.js";
import { PoolList, poolOfHash } from "./pools/pool-list.js";
import { VacancyPanel } from "./pools/vacancy.js";
import { StatusPill } from "./status-pill.js";
import { WorkersSection } from "./workers/workers-section.js";

/** The whole page. */
export class PageApp {
  readonly #state: PageState = initialState();
  readonly #session = new Session();
  readonly #feed = new Feed(this.#session, {
    onCapacity: (view) => this.#set({ capacity: view }),
    onWorkers: (view) => this.#set({ workers: view }),
    onOpen: () => void this.#lanes.refill(this.#state),
  });
  readonly #dialog = new ControlDialog(this.#session);
  readonly #tokenDialog = new TokenDialog(this.#session, () => this.#feed.retryNow());
  readonly #workers = new WorkersSection({
    onText: (filterText) => this.#set({ filterText }),
    onStates: (filterStates) => this.#set({ filterStates }),
    onSort: (order) => this.#set({ order }),
    onAsk: (verb, row) => this.#dialog.ask(verb, row),
  });
  readonly #hero = new Hero((row) => this.#workers.choose(row));
  readonly #lanes = new Lanes(this.#session.client);
  readonly #pools = new PoolList();
  readonly #pill = new StatusPill(() => this.#feed.retryNow());
  readonly #vacancy = new VacancyPanel();
  readonly #announcer = new Announcer();
  readonly #brand = new Brand();
  readonly #draw = oncePerFrame(() => this.#drawNow(false));
  readonly #scrolled = oncePerFrame(() => this.#workers.scrolled(performance.now()));

  /** Starts the streams and draws from here on. */
  start(): void {
    this.#choosePool();
    addEventListener("hashchange", () => this.#choosePool());
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("resize", this.#draw);
    setInterval(() => this.#tick(), 1_000);
    this.#feed.start();
    void this.#configure();
    this.#draw();
  }

  #set(change: Partial<PageState>): void {
    Object.assign(this.#state, change);
    this.#draw();
  }

  #choosePool(): void {
    this.#set({ pool: poolOfHash(location.hash) });
    if (hasData(this.#state)) void this.#lanes.refill(this.#state);
  }

  async #configure(): Promise<void> {
    const config = await readPageConfig();
    this.#set({ control: config.control, version: plainText(config.version, 40) });
    setText(byId("foot"), config.version === "" ? "" : `poolmesh ${plainText(config.version, 40)}`);
  }

  #tick(): void {
    this.#lanes.tick(this.#state);
    this.#drawNow(true);
    const { state } = connectionNow(this.#state);
    this.#announcer.update(this.#workers.named(this.#state), state);
  }

  #drawNow(reorder: boolean): void {
    const state = this.#state;
    const nowMs = performance.now();
    const heardAtMs = hasData(state) ? state.capacity?.receivedAtMs : undefined;
    this.#pill.update(connectionNow(state), heardAtMs, nowMs);
    this.#tokenDialog.update(connectionNow(state));
    this.#vacancy.update(state);
    this.#pools.update(state);
    this.#drawBrand();
    if (byId("content").hidden) return;
    const rows = this.#workers.named(state);
    this.#hero.update(state, rows);
    this.#lanes.update(state);
    this.#workers.update(state, rows, nowMs, reorder);
  }

  #drawBrand(): void {
    const capacity = chosenCapacity(this.#state);
    this.#brand.update({
      utilization: capacity === undefined || capacity.slots === 0 ? undefined : capacity.utilization,
      live: connectionNow(this.#state).state === "live",
      lost: capacity?.workers?.lost ?? 0,
      pool: plainText(this.#state.pool),
    });
  }
}
