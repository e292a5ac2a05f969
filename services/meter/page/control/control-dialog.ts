/**
 * Asks before a worker is drained, paused or resumed, and carries it out.
 *
 * The reader's own token is tried first. Another one that has to be typed for control
 * is kept in this object only, until the page is closed.
 */

import type { WorkerRow } from "../../../../browser/worker-row.js";
import { PoolError } from "../../../../browser.js";
import { WorkerOp } from "../../../../gen/poolmesh/v1/meter_pb.js";
import { fromConnectError } from "../../../../mesh/wire/connect-errors.js";
import { element, setText } from "../element.js";
import { type ControlVerb, VERB_MEANING } from "./control-verbs.js";
import { refusalText } from "./refusal-text.js";
import type { Session } from "./session.js";

const OPS: Readonly<Record<ControlVerb, WorkerOp>> = {
  Drain: WorkerOp.DRAIN,
  Pause: WorkerOp.PAUSE,
  Resume: WorkerOp.RESUME,
};

/** One dialog, used for every confirmation. */
export class ControlDialog {
  readonly #client: Session["client"];
  readonly #dialog = element("dialog", "confirm");
  readonly #title = element("h2");
  readonly #meaning = element("p");
  readonly #tokenField = element("label", "token", "Control token");
  readonly #tokenInput = element("input");
  readonly #failure = element("p", "failure");
  readonly #confirm = element("button", "primary");
  readonly #session: Session;
  /** What was typed here, once it has worked. */
  #typed = "";
  /** The reader's own token, when it does not do for control. */
  #refused = "";
  #asked: { verb: ControlVerb; row: WorkerRow } | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#client = session.client;
    this.#title.id = "confirm-title";
    this.#dialog.setAttribute("aria-labelledby", this.#title.id);
    this.#failure.setAttribute("role", "alert");
    this.#tokenInput.type = "password";
    this.#tokenInput.autocomplete = "off";
    this.#tokenField.append(this.#tokenInput);
    const cancel = element("button", "quiet", "Cancel");
    cancel.type = "button";
    cancel.addEventListener("click", () => this.#dialog.close());
    const form = element("form", "", this.#title, this.#meaning, this.#tokenField, this.#failure);
    form.append(element("div", "buttons", cancel, this.#confirm));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#carryOut();
    });
    this.#dialog.append(form);
    document.body.append(this.#dialog);
  }

  /** Opens the confirmation. */
  ask(verb: ControlVerb, row: WorkerRow): void {
    this.#asked = { verb, row };
    setText(this.#title, `${verb} ${row.worker}?`);
    setText(this.#meaning, VERB_MEANING[verb]);
    setText(this.#confirm, verb);
    setText(this.#failure, "");
    this.#tokenField.hidden = this.#token !== "";
    this.#dialog.showModal();
    (this.#token === "" ? this.#tokenInput : this.#confirm).focus();
  }

  /** What to bear without asking: what was typed here, else the reader's own token; "" when neither does. */
  get #token(): string {
    const token = this.#typed === "" ? (this.#session.token() ?? "") : this.#typed;
    return token === this.#refused ? "" : token;
  }

  async #carryOut(): Promise<void> {
    const asked = this.#asked;
    if (asked === undefined) return;
    const token = this.#token === "" ? this.#tokenInput.value : this.#token;
    this.#confirm.disabled = true;
    try {
      const heartbeat = asked.row.seen.view.heartbeat;
      await this.#client.controlWorker(
        { pool: heartbeat?.pool ?? "", worker: heartbeat?.worker ?? "", op: OPS[asked.verb] },
        { headers: { authorization: `Bearer ${token}` }, timeoutMs: 10_000 },
      );
      if (token !== this.#session.token()) this.#typed = token;
      this.#tokenInput.value = "";
      this.#dialog.close();
    } catch (error) {
      this.#failed(error instanceof PoolError ? error : fromConnectError(error), token);
    } finally {
      this.#confirm.disabled = false;
    }
  }

  #failed(error: PoolError, token: string): void {
    const refusal = refusalText(error);
    if (refusal !== undefined) {
      this.#typed = "";
      if (token === this.#session.token()) this.#refused = token;
    }
    this.#tokenField.hidden = this.#token !== "";
    setText(this.#failure, refusal ?? error.message);
    if (refusal !== undefined) this.#tokenInput.select();
  }
}
