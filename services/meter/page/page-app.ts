/**
 * Puts the page together: messages come in, each frame is drawn once, and a tick a
 * second updates ages. Not decided here: looks and words.
 */
import { plainText } from "../../../mesh/plain-text.js";
import { Announcer } from "./announcer.js";
import { Brand } from "./brand.js";
import { Hero } from "./charts/hero.js";
import { Lanes } from "./charts/lanes.js";
import { ConfirmDialog } from "./control/confirm-dialog.js";
import { type ControlAsk, controlAction } from "./control/control-verbs.js";
import { Session } from "./control/session.js";
import { TokenDialog } from "./control/token-dialog.js";
import { DurableView } from "./durable/durable-view.js";
import { byId, setAttribute, setText } from "./element.js";
import { Feed } from "./feed.js";
import { oncePerFrame } from "./frame.js";
import { askJobs, type PoolJobs } from "./jobs/ask-jobs.js";
import { JobDetail } from "./jobs/job-detail.js";
import { JobPanel } from "./jobs/job-panel.js";
import { readPageConfig } from "./page-config.js";
import { chosenCapacity, connectionNow, hasData, initialState, type PageState } from "./page-state.js";
import { ASK_TIMEOUT_MS, Poll } from "./poll.js";
import { PoolList } from "./pools/pool-list.js";
import { VacancyPanel } from "./pools/vacancy.js";
import { Warnings } from "./pools/warnings.js";
import { routeOf } from "./route.js";
import { startSkipLink } from "./skip-link.js";
import { StatusPill } from "./status-pill.js";
import { WorkerDetail } from "./workers/worker-detail.js";
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
  readonly #jobsPoll = new Poll({
    everyMs: 2_000,
    ask: () => this.#askJobs(),
    hear: (jobs) => this.#set({ jobs }),
  });
  readonly #lanesPoll = new Poll({
    everyMs: 3_000,
    ask: () => this.#askLanes(),
    hear: (lanes, lanesFailure) => this.#set({ lanes: lanes ?? this.#state.lanes, lanesFailure }),
  });
  readonly #dialog = new ConfirmDialog(this.#session);
  readonly #tokenDialog = new TokenDialog(this.#session, () => this.#feed.retryNow());
  readonly #onAsk: ControlAsk = (verb, row) => this.#dialog.ask(controlAction(this.#session, verb, row));
  readonly #workers = new WorkersSection({
    onText: (filterText) => this.#set({ filterText }),
    onStates: (filterStates) => this.#set({ filterStates }),
    onSort: (order) => this.#set({ order }),
    onAsk: this.#onAsk,
  });
  readonly #worker = new WorkerDetail(this.#onAsk);
  readonly #hero = new Hero((row) => this.#workers.choose(row));
  readonly #lanes = new Lanes(this.#session.client);
  readonly #jobs = new JobPanel();
  readonly #job = new JobDetail();
  readonly #durable = new DurableView(this.#session, this.#dialog, () => this.#lanesPoll.restart());
  readonly #pools = new PoolList();
  readonly #warnings = new Warnings();
  readonly #pill = new StatusPill(() => this.#feed.retryNow());
  readonly #vacancy = new VacancyPanel();
  readonly #announcer = new Announcer();
  readonly #brand = new Brand();
  readonly #draw = oncePerFrame(() => this.#drawNow(false));
  readonly #scrolled = oncePerFrame(() => this.#workers.scrolled(performance.now()));

  /** Starts the streams and draws from here on. */
  start(): void {
    this.#follow();
    startSkipLink();
    addEventListener("hashchange", () => this.#follow());
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

  /** Shows what the address names. */
  #follow(): void {
    const route = routeOf(location.hash);
    const isOther = route.pool !== this.#state.pool;
    const isElsewhere = isOther || route.view !== this.#state.route.view;
    const isOtherJob = isElsewhere || route.job !== this.#state.route.job;
    this.#set({ route, pool: route.pool, ...(isOtherJob ? { jobs: undefined } : {}) });
    if (isElsewhere && this.#state.capacity !== undefined) scrollTo(0, 0);
    if (!hasData(this.#state)) return;
    if (isOther) void this.#lanes.refill(this.#state);
    this.#jobsPoll.restart();
    if (route.view === "durable") this.#lanesPoll.restart();
  }

  async #configure(): Promise<void> {
    const { control, durable, version } = await readPageConfig();
    this.#set({ control, durable, version: plainText(version, 40) });
    setText(byId("foot"), version === "" ? "" : `poolmesh ${plainText(version, 40)}`);
    this.#lanesPoll.restart();
  }

  #askJobs(): Promise<PoolJobs> | undefined {
    const { pool, route } = this.#state;
    const isKnown =
      (route.view === "pool" || route.view === "job") && pool !== "" && chosenCapacity(this.#state) !== undefined;
    if (!isKnown || connectionNow(this.#state).state !== "live") return undefined;
    return askJobs(this.#session, route, this.#state.jobs?.value);
  }

  #askLanes(): ReturnType<Session["lane"]["getLanes"]> | undefined {
    if (!this.#state.durable || connectionNow(this.#state).state !== "live") return undefined;
    return this.#session.lane.getLanes({ pool: "" }, { timeoutMs: ASK_TIMEOUT_MS });
  }

  #tick(): void {
    this.#jobsPoll.tick();
    this.#lanesPoll.tick();
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
    this.#pools.update(state, nowMs);
    this.#durable.update(state);
    this.#drawBrand();
    setAttribute(byId("pools-tab"), "aria-current", state.route.view === "durable" ? undefined : "page");
    if (!byId("job").hidden) this.#job.update(state, nowMs);
    if (!byId("worker").hidden) this.#worker.update(state, nowMs);
    if (byId("content").hidden) return;
    const rows = this.#workers.named(state);
    this.#warnings.update(state);
    this.#hero.update(state, rows);
    this.#lanes.update(state);
    this.#jobs.update(state, nowMs);
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
