/**
 * One job that has ended, on a line of time: from its submission over the start of its last
 * attempt to its outcome.
 *
 * It is one of the samples that managers tell of a pool, so it is here for as long as they do.
 */
import { age } from "../../../../browser/format.js";
import type { JobSample } from "../../../../gen/poolmesh/v1/heartbeat_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { byId, element, setText } from "../element.js";
import type { PageState } from "../page-state.js";
import { poolHash, workerHash } from "../route.js";
import { time, toneOf } from "./outcome-words.js";
import { timelineOf } from "./timeline.js";

/** A job that was found. */
interface FoundJob {
  /** Pool and id. */
  readonly key: string;
  readonly sample: JobSample;
  /** By the reader's monotonic clock, in milliseconds. */
  readonly endedAtMs: number;
}

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
  readonly #known = element("div", "job-known", this.#outcome, this.#message, this.#line, this.#key, this.#facts);
  #drawn = "";
  /** The last job that was found: it stays although managers tell of others by now. */
  #found: FoundJob | undefined;

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
    const found = this.#find(state);
    this.#known.hidden = found === undefined;
    setText(this.#none, found !== undefined ? "" : noneText(state));
    if (found !== undefined) this.#draw(pool, found.sample, nowMs - found.endedAtMs);
  }

  #find({ route, jobs }: PageState): FoundJob | undefined {
    const key = `${route.pool}/${route.job}`;
    const { failures = [], slowest = [], recent = [] } = jobs?.value ?? {};
    const sample = [...failures, ...slowest, ...recent].find(({ jobId }) => jobId === route.job);
    if (sample !== undefined && jobs !== undefined) {
      this.#found = { key, sample, endedAtMs: jobs.atMs - sample.endedAgoMs };
    }
    return this.#found?.key === key ? this.#found : undefined;
  }

  #draw(pool: string, sample: JobSample, endedAgoMs: number): void {
    const { outcome, code, message, worker } = sample;
    const ago = age(endedAgoMs);
    const drawn = JSON.stringify([sample.jobId, outcome, sample.totalMs, ago]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const words = plainText([outcome, ...(code === "" ? [] : [code])].join(" · "), 120);
    const ended = ago === "now" ? "now" : `${ago} ago`;
    this.#outcome.replaceChildren(element("span", `sample-word ${toneOf(outcome)}`, words), ` · ended ${ended}`);
    setText(this.#message, plainText(message, 200));
    const { parts, events } = timelineOf(sample);
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

function noneText({ jobs, route }: PageState): string {
  if (jobs === undefined) return "Asking for the job …";
  return `The managers do not tell of job ${plainText(route.job, 64)} any more: of each pool they keep the last failures, the slowest jobs of the last minute and some recent ones.`;
}
