/**
 * The dead letters of one pool, page by page. What they say is for whoever may control the pool.
 *
 * Only one page is held, whatever there is.
 */
import { age, count, plural } from "../../../../browser/format.js";
import { PoolError } from "../../../../browser.js";
import type { DeadChange, DeadLetter } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";
import { fromConnectError } from "../../../../mesh/wire/connect-errors.js";
import type { ConfirmDialog, ControlCall } from "../control/confirm-dialog.js";
import type { Session } from "../control/session.js";
import { element, setAttribute, setText } from "../element.js";

const PAGE_SIZE = 50;

/** What is done with dead letters. */
type DeadVerb = "Retry" | "Purge";
const MEANINGS: Readonly<Record<DeadVerb, string>> = {
  Retry: "They run again as they were, and their attempts begin anew. Each leaves this list once its job is stored.",
  Purge: "They are deleted, with their payloads. This cannot be undone.",
};

/** Draws them. */
export class DeadList {
  readonly root = element("section", "dead");
  readonly #session: Session;
  readonly #dialog: ConfirmDialog;
  readonly #onChange: () => void;
  readonly #title = element("h3", "eyebrow");
  readonly #note = element("p", "samples-none");
  readonly #show = element("button", "quiet", "Show them");
  readonly #retryAll = element("button", "quiet", "Retry these");
  readonly #purgeAll = element("button", "quiet", "Purge these");
  readonly #next = element("button", "quiet", "Next page");
  readonly #table = element("table", "dead-table");
  readonly #body = element("tbody");
  #pool = "";
  #dead = 0;
  #letters: readonly DeadLetter[] | undefined;
  #nextToken = "";
  #asked = 0;

  constructor(session: Session, dialog: ConfirmDialog, onChange: () => void) {
    this.#session = session;
    this.#dialog = dialog;
    this.#onChange = onChange;
    this.#title.id = "dead-title";
    this.#title.tabIndex = -1;
    setAttribute(this.#table, "aria-labelledby", this.#title.id);
    const head = element("tr");
    for (const title of ["Reason", "Job", "Attempts", "Died", "Control"]) {
      const cell = element("th", `dead-${title.toLowerCase()}`, title);
      cell.scope = "col";
      head.append(cell);
    }
    this.#table.append(element("thead", "", head), this.#body);
    for (const button of [this.#show, this.#retryAll, this.#purgeAll, this.#next]) button.type = "button";
    this.#show.addEventListener("click", () => this.#ask(""));
    this.#next.addEventListener("click", () => this.#ask(this.#nextToken));
    this.#retryAll.addEventListener("click", () => this.#confirm("Retry", this.#letters ?? []));
    this.#purgeAll.addEventListener("click", () => this.#confirm("Purge", this.#letters ?? []));
    const buttons = element("div", "dead-buttons", this.#show, this.#retryAll, this.#purgeAll, this.#next);
    this.root.append(element("div", "workers-head", this.#title, buttons), this.#note, this.#table);
  }

  /** @param dead how many there are, as the lane tells */
  update(pool: string, dead: number, control: boolean): void {
    this.root.hidden = pool === "";
    if (pool !== this.#pool) {
      this.#pool = pool;
      this.#forget();
    }
    const isNews = dead !== this.#dead;
    this.#dead = dead;
    setText(this.#title, `Dead letters of ${plainText(pool)} · ${count(dead)}`);
    if (isNews && this.#letters !== undefined && pool !== "") void this.#load("");
    else this.#draw(control);
    this.#control = control;
  }

  #control = false;

  #draw(control: boolean): void {
    const letters = this.#letters;
    this.#table.hidden = letters === undefined || letters.length === 0;
    this.#show.hidden = !control || letters !== undefined || this.#dead === 0;
    this.#retryAll.hidden = letters === undefined || letters.length < 2;
    this.#purgeAll.hidden = this.#retryAll.hidden;
    this.#next.hidden = this.#nextToken === "";
    setText(this.#note, this.#noteText(control));
  }

  #noteText(control: boolean): string {
    if (this.#dead === 0 && (this.#letters ?? []).length === 0) return "There are none.";
    if (!control) return "This meter is read-only. With --control it shows, retries and purges them.";
    if (this.#letters === undefined) return "What they say is for whoever may control this pool.";
    return "";
  }

  #forget(): void {
    this.#asked += 1;
    this.#letters = undefined;
    this.#nextToken = "";
    this.#body.replaceChildren();
  }

  /** Asks at once with a token that is known, else for one. */
  #ask(pageToken: string): void {
    if (this.#dialog.call() !== undefined) {
      void this.#load(pageToken);
      return;
    }
    this.#dialog.ask({
      title: `Show the dead letters of ${plainText(this.#pool)}?`,
      meaning: "What failed jobs said is for whoever may control this pool.",
      verb: "Show",
      carryOut: (call) => this.#fetch(pageToken, call),
    });
  }

  async #load(pageToken: string): Promise<void> {
    const call = this.#dialog.call();
    if (call === undefined) return;
    try {
      await this.#fetch(pageToken, call);
    } catch (thrown) {
      const error = thrown instanceof PoolError ? thrown : fromConnectError(thrown);
      if (error.reason === "unauthenticated" || error.reason === "permission_denied") this.#forget();
      this.#draw(this.#control);
      setText(this.#note, error.message);
    }
  }

  async #fetch(pageToken: string, call: ControlCall): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const answer = await this.#session.lane.listDead({ pool: this.#pool, pageSize: PAGE_SIZE, pageToken }, call);
    if (asked !== this.#asked) return;
    this.#letters = answer.letters;
    this.#nextToken = answer.nextPageToken;
    this.#body.replaceChildren(...answer.letters.map((letter) => this.#row(letter)));
    this.#draw(this.#control);
  }

  #row(letter: DeadLetter): HTMLElement {
    const { jobId, attempt, error, diedAt } = letter;
    const code = error?.code === undefined || error.code === "" ? "" : ` · ${error.code}`;
    const reason = element("td", "dead-reason", element("span", "sample-word coral", `${error?.reason ?? "?"}${code}`));
    reason.append(" ", element("span", "sample-message", plainText(error?.message ?? "", 300)));
    const job = element("th", "dead-job", plainText(jobId, 64));
    job.scope = "row";
    job.title = plainText(jobId, 64);
    const died = diedAt === undefined ? "—" : `${age(Date.now() - Number(diedAt.seconds) * 1_000)} ago`;
    const control = element("td", "dead-control");
    for (const verb of ["Retry", "Purge"] as const) {
      const button = element("button", "quiet", verb);
      button.type = "button";
      button.setAttribute("aria-label", `${verb} ${plainText(jobId, 64)}`);
      button.addEventListener("click", () => this.#confirm(verb, [letter]));
      control.append(button);
    }
    const cells = [element("td", "dead-attempts", String(attempt)), element("td", "dead-died", died)];
    return element("tr", "", reason, job, ...cells, control);
  }

  #confirm(verb: DeadVerb, letters: readonly DeadLetter[]): void {
    const ids = letters.map(({ jobId }) => jobId);
    const what = ids.length === 1 ? plainText(ids[0] ?? "", 64) : plural(ids.length, "dead letter");
    this.#dialog.ask({
      title: `${verb} ${what}?`,
      meaning: MEANINGS[verb],
      verb,
      carryOut: async (call) => {
        const selector = { pool: this.#pool, jobIds: ids };
        const { changes } =
          verb === "Retry"
            ? await this.#session.lane.retryDead({ selector }, call)
            : await this.#session.lane.purgeDead({ selector }, call);
        this.#onChange();
        await this.#fetch("", call);
        refuseFailed(changes);
      },
    });
  }
}

/** What was not changed is told. */
function refuseFailed(changes: readonly DeadChange[]): void {
  const failed = changes.filter(({ error }) => error !== undefined);
  const [first] = failed;
  if (first?.error === undefined) return;
  const others = failed.length > 1 ? `, and ${plural(failed.length - 1, "other")} not either` : "";
  throw new PoolError("internal", `${plainText(first.jobId, 64)}: ${plainText(first.error.message, 200)}${others}`);
}
