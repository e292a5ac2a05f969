/**
 * One job, as `poolmesh job` finds it, on a line of time: from its submission over the start of its last
 * attempt to its outcome, or to now.
 *
 * What managers have told of it stays, also when they have forgotten it since.
 */
import { plural } from "../../../../browser/format.js";
import { stateText } from "../../../../browser/job-words.js";
import { type JobView, JobViewState } from "../../../../gen/poolmesh/v1/job_pb.js";
import { isLive } from "../../../../mesh/job/job-views.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { poolHash, workerHash } from "../route.js";
import { wallOf } from "./ask-jobs.js";
import { endedAgo, time, toneOf } from "./outcome-words.js";
import { timelineOf } from "./timeline.js";

/** As much as managers remember of an error's message, in characters. */
const MAX_MESSAGE = 512;

/** The view of one job. */
export class JobDetail {
  readonly #root = byId("job");
  readonly #back = element("a", "back");
  readonly #title = element("h2", "worker-title");
  readonly #outcome = element("p", "job-outcome");
  readonly #message = element("p", "job-message");
  readonly #line = element("div", "timeline");
  readonly #key = element("p", "timeline-keys");
  readonly #facts = element("ol", "timeline-facts");
  readonly #none = element("p", "none");
  readonly #about = element("p", "job-about");
  readonly #known = element(
    "div",
    "job-known",
    ...[this.#outcome, this.#message, this.#line, this.#key, this.#facts, this.#about],
  );
  #drawn = "";

  constructor() {
    this.#line.setAttribute("role", "img");
    this.#title.tabIndex = -1;
    this.#root.append(element("p", "crumbs", this.#back), this.#title, this.#known, this.#none);
  }

  update(state: PageState, nowMs: number): void {
    const { pool, job } = state.route;
    this.#back.href = poolHash(pool);
    setText(this.#back, `← ${plainText(pool)}`);
    setText(this.#title, plainText(job, 64));
    const told = state.jobs;
    const found = told?.value.job;
    this.#known.hidden = found === undefined;
    setText(this.#none, noneText(state));
    if (told === undefined || found === undefined) return;
    this.#draw(found, wallOf(told.value.stats) + nowMs - told.atMs);
  }

  #draw(view: JobView, wallMs: number): void {
    const { pool, worker } = view;
    const { code = "", message = "" } = view.error ?? {};
    const outcome = stateText(view);
    const ended = !isLive(view) ? ` · ended ${endedAgo(view, wallMs)}` : "";
    const drawn = JSON.stringify([view.jobId, outcome, view.attempt, view.totalMs, ended]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const words = plainText([outcome, ...(code === "" ? [] : [code])].join(" · "), 120);
    this.#outcome.replaceChildren(element("span", `sample-word ${toneOf(outcome)}`, words), ended);
    setText(this.#message, plainText(message, MAX_MESSAGE));
    const { parts, events } = timelineOf(view);
    const bars = parts.map(({ kind, share, ms }) => {
      const bar = element("span", `timeline-part timeline-${kind}`);
      bar.style.setProperty("flex-grow", String(share));
      bar.title = `${kind} ${time(ms)}`;
      return bar;
    });
    this.#line.replaceChildren(...bars);
    const keys = parts.map(({ kind, ms }) => element("span", `timeline-key key-${kind}`, `${kind} ${time(ms)}`));
    this.#key.replaceChildren(...keys);
    this.#line.ariaLabel = parts.map(({ kind, ms }) => `${kind} ${time(ms)}`).join(", ");
    setText(this.#about, aboutText(view));
    this.#facts.replaceChildren(
      ...events.map(({ atMs, text, withWorker }) => {
        const item = element("li", "", element("span", "timeline-at", atMs === 0 ? "0 ms" : time(atMs)), ` ${text}`);
        if (withWorker && worker !== "") {
          const link = element("a", "", plainText(worker, 64));
          link.href = workerHash(pool, worker);
          item.append(" ", link);
        }
        return item;
      }),
    );
  }
}

/** What else there is to say, on a line. */
function aboutText({ manager, client, payloadBytes, resultBytes, state, idempotent, durable }: JobView): string {
  const facts = [
    `manager ${manager}`,
    ...(client === "" ? [] : [`client ${client}`]),
    `payload ${plural(Number(payloadBytes), "byte")}`,
    ...(state === JobViewState.SUCCEEDED ? [`result ${plural(Number(resultBytes), "byte")}`] : []),
    ...(idempotent ? ["idempotent"] : []),
    ...(durable ? ["durable"] : []),
  ];
  return plainText(facts.join(" · "), 400);
}

function noneText({ jobs, route, durable }: PageState): string {
  if (jobs === undefined) return "Asking for the job …";
  const { failure, job } = jobs.value;
  if (failure === "") return "";
  const why = plainText(failure, 300);
  if (job !== undefined) return `This is what was told last. Now: ${why}`;
  const name = plainText(route.job, 64);
  const stored = `. If it was enqueued, this tells what is stored: poolmesh job ${plainText(route.pool)} ${name}`;
  return `Job ${name}: ${why}${durable ? stored : ""}`;
}
