/** One worker: everything that its heartbeat says, and what the meter makes of it. */
import { age, count, duration } from "../../../../browser/format.js";
import { type WorkerRow, workerRow } from "../../../../browser/worker-row.js";
import { type Heartbeat, heartbeatAgeMs } from "../../../../browser.js";
import { Isolation } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { uptimeMs } from "../../../../mesh/wire/clock-offset.js";
import { type ControlAsk, verbsFor } from "../control/control-verbs.js";
import { byId, element, glyph, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { jobHash, poolHash } from "../route.js";
import { SlotStrip } from "./slot-strip.js";
import { clockText, farVersions, oldText } from "./worker-words.js";

const ISOLATIONS: Readonly<Record<Isolation, string>> = {
  [Isolation.UNSPECIFIED]: "not said",
  [Isolation.INLINE]: "inline: on the worker's event loop",
  [Isolation.THREAD]: "thread: one for each running job",
  [Isolation.PROCESS]: "process: one for each slot",
  [Isolation.EXEC]: "exec: a command for each job",
};

/** One fact: its name, its value, and whether it stands out. */
type Fact = readonly [name: string, value: string, tone?: "amber" | "coral" | undefined];

/** The section of one worker. */
export class WorkerDetail {
  readonly #root = byId("worker");
  readonly #ask: ControlAsk;
  readonly #panels = new Map<string, WorkerPanel>();
  readonly #none = element("p", "none");
  readonly #back = element("a", "back");
  #title = "";

  constructor(ask: ControlAsk) {
    this.#ask = ask;
    this.#root.append(element("p", "crumbs", this.#back), this.#none);
  }

  update(state: PageState, nowMs: number): void {
    const { view, pool, worker } = state.route;
    this.#root.hidden = view !== "worker" || state.workers === undefined;
    if (this.#root.hidden) return;
    this.#back.href = poolHash(pool);
    setText(this.#back, `← ${plainText(pool)}`);
    // Two processes that claim one id are two rows.
    const rows = [...(state.workers?.workers.values() ?? [])]
      .filter(({ view: seen }) => seen.heartbeat?.pool === pool && seen.heartbeat.worker === worker)
      .map(workerRow)
      .sort((a, b) => (a.key < b.key ? 1 : -1));
    const heard = (state.workers?.version ?? 0n) > 0n;
    setText(
      this.#none,
      rows.length > 0 || !heard
        ? ""
        : `The meter knows no worker ${plainText(worker)} in this pool. One that has stopped is forgotten after a minute, and one that is lost after ten.`,
    );
    this.#dropOthers(new Set(rows.map(({ key }) => key)));
    const far = farVersions(state);
    for (const row of rows) this.#panel(row.key).update(row, nowMs, { far, control: state.control });
    this.#focusTitle(`${pool}/${worker}`, rows.length > 0);
  }

  #panel(key: string): WorkerPanel {
    let panel = this.#panels.get(key);
    if (panel === undefined) {
      panel = new WorkerPanel(this.#ask);
      this.#panels.set(key, panel);
      this.#root.append(panel.root);
    }
    return panel;
  }

  #dropOthers(keys: ReadonlySet<string>): void {
    for (const [key, panel] of this.#panels) {
      if (keys.has(key)) continue;
      panel.root.remove();
      this.#panels.delete(key);
    }
  }

  /** Who followed a link to a worker reads on at its name. */
  #focusTitle(title: string, isThere: boolean): void {
    if (!isThere || title === this.#title) return;
    this.#title = title;
    this.#panels.values().next().value?.focus();
  }
}

class WorkerPanel {
  readonly root = element("article", "worker-panel");
  readonly #name = element("h2", "worker-title");
  readonly #state = element("span", "badge");
  readonly #marks = element("span", "marks");
  readonly #actions = element("div", "worker-actions");
  readonly #strip = new SlotStrip();
  readonly #slots = element("p", "worker-slots");
  readonly #facts = element("dl", "worker-facts");
  readonly #labels = element("ul", "labels");
  readonly #running = element("ul", "running");
  readonly #runningNote = element("p", "samples-none");
  readonly #missing = element("p", "missing");
  readonly #ask: ControlAsk;
  #drawn = "";
  #actionsDrawn = "";

  constructor(ask: ControlAsk) {
    this.#ask = ask;
    this.#name.tabIndex = -1;
    this.root.append(
      element("div", "worker-head", this.#name, this.#state, this.#marks, this.#actions),
      this.#missing,
      element("div", "worker-level", this.#strip.root, this.#slots),
      this.#facts,
      element("h3", "samples-title", "Labels"),
      this.#labels,
      element("h3", "samples-title", "Running jobs"),
      this.#running,
      this.#runningNote,
    );
  }

  focus(): void {
    this.#name.focus({ preventScroll: true });
  }

  update(row: WorkerRow, nowMs: number, { far, control }: { far: ReadonlySet<string>; control: boolean }): void {
    this.#strip.update(row);
    setText(this.#slots, `${row.busy} of ${row.slots} slots busy`);
    this.#updateActions(row, control);
    const facts = factsOf(row, nowMs, far);
    const { labels = {}, runningJobs = [], missingPermissions = [] } = row.seen.view.heartbeat ?? {};
    const drawn = JSON.stringify([row.worker, row.state, row.marks, facts, labels, runningJobs, missingPermissions]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    setText(this.#name, row.worker);
    this.root.dataset.state = row.state;
    this.#state.replaceChildren(glyph(row.state), row.state);
    const marks = [...row.marks, ...(far.has(row.version) ? ["old"] : [])];
    this.#marks.replaceChildren(...marks.map((mark) => element("span", `mark mark-${mark.replace(" ", "-")}`, mark)));
    this.#facts.replaceChildren(...facts.map(drawFact));
    this.#updateLists(row);
    const refused = missingPermissions.map((each) => plainText(each)).join(", ");
    setText(this.#missing, refused === "" ? "" : `The broker refuses what it needs: ${refused}`);
  }

  #updateLists({ seen }: WorkerRow): void {
    const { pool = "", labels = {}, runningJobs = [], runningTruncated = false } = seen.view.heartbeat ?? {};
    const named = Object.entries(labels).map(([key, value]) =>
      element("li", "label", element("span", "label-key", plainText(key, 64)), ` ${plainText(value, 64)}`),
    );
    this.#labels.replaceChildren(...(named.length === 0 ? [element("li", "samples-none", "It has none.")] : named));
    this.#drawRunning(pool, runningJobs);
    const more = runningTruncated ? "… and more, which its heartbeat does not name." : "";
    setText(this.#runningNote, runningJobs.length === 0 ? "It runs none." : more);
  }

  /** A link that has the focus keeps it for as long as the worker runs the same jobs. */
  #drawRunning(pool: string, jobs: readonly string[]): void {
    const key = [pool, ...jobs].join(" ");
    if (this.#running.dataset.jobs === key) return;
    this.#running.dataset.jobs = key;
    this.#running.replaceChildren(
      ...jobs.map((id) => {
        const link = element("a", "", plainText(id, 64));
        link.href = jobHash(pool, id);
        return element("li", "", link);
      }),
    );
  }

  #updateActions(row: WorkerRow, control: boolean): void {
    const verbs = control ? verbsFor(row.state) : [];
    const drawn = `${row.key} ${verbs.join()}`;
    if (drawn === this.#actionsDrawn) return;
    this.#actionsDrawn = drawn;
    const buttons = verbs.map((verb) => {
      const button = element("button", "quiet", verb);
      button.type = "button";
      button.setAttribute("aria-label", `${verb} ${row.worker}`);
      button.addEventListener("click", () => this.#ask(verb, row));
      return button;
    });
    this.#actions.replaceChildren(...buttons);
  }
}

function factsOf(row: WorkerRow, nowMs: number, far: ReadonlySet<string>): readonly Fact[] {
  const beat = row.seen.view.heartbeat;
  const old = far.has(row.version);
  const offset = clockText(row);
  return [
    ["Pool", row.pool],
    ["Heartbeat", agoText(heartbeatAgeMs(row.seen, nowMs)), row.state === "lost" ? "coral" : undefined],
    ["Up for", uptimeText(row, beat)],
    ["Version", old ? `${row.version}: ${oldText}` : row.version || "not said", old ? "amber" : undefined],
    ["Isolation", ISOLATIONS[beat?.isolation ?? Isolation.UNSPECIFIED] ?? "not said"],
    ["Host", `${row.host || "not said"} · pid ${beat?.pid ?? 0}`],
    ["Clock", offset.text, offset.isOff ? "amber" : undefined],
    ["Loop lag", duration(row.loopLagMs), row.marks.includes("lagging") ? "amber" : undefined],
    ["Jobs done", count(row.jobsDone)],
    ["Jobs failed", count(row.jobsFailed), row.jobsFailed > 0 ? "coral" : undefined],
    ["Accepted", count(beat?.acceptedTotal ?? 0n)],
    ["Refused as full", count(beat?.refusedTotal ?? 0n)],
    ["Stuck slots", count(beat?.stuck ?? 0), (beat?.stuck ?? 0) > 0 ? "coral" : undefined],
  ];
}

function agoText(ms: number): string {
  const ago = age(ms);
  return ago === "now" ? "now" : `${ago} ago`;
}

function uptimeText(row: WorkerRow, beat: Heartbeat | undefined): string {
  const upMs = beat === undefined ? undefined : uptimeMs(beat);
  if (upMs === undefined) return "not said";
  return row.state === "lost" ? `${age(upMs)}, when it was heard last` : age(upMs);
}

function drawFact([name, value, tone]: Fact): HTMLElement {
  const fact = element("div", "worker-fact", element("dt", "fact-name", name), element("dd", "", value));
  if (tone !== undefined) fact.dataset.tone = tone;
  return fact;
}
