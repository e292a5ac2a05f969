/**
 * Asks before something is done that needs the right to control, and carries it out.
 *
 * The reader's own token is tried first. Another one that has to be typed for control
 * is kept in this object only, until the page is closed.
 */

import { PoolError } from "../../../../browser.js";
import { fromConnectError } from "../../../../mesh/wire/connect-errors.js";
import { element, setText } from "../element.js";
import { refusalText } from "./refusal-text.js";
import type { Session } from "./session.js";

/** What a call bears. */
export interface ControlCall {
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** What is to be confirmed. */
export interface ConfirmedAction {
  readonly title: string;
  /** What will happen, in a sentence. */
  readonly meaning: string;
  /** The word on the button. */
  readonly verb: string;
  /** Rejects with the failure that is shown. */
  readonly carryOut: (options: ControlCall) => Promise<void>;
}

const TIMEOUT_MS = 10_000;

/** One dialog, used for every confirmation. */
export class ConfirmDialog {
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
  #asked: ConfirmedAction | undefined;

  constructor(session: Session) {
    this.#session = session;
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
  ask(action: ConfirmedAction): void {
    this.#asked = action;
    setText(this.#title, action.title);
    setText(this.#meaning, action.meaning);
    setText(this.#confirm, action.verb);
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

  /** Makes a call with the token that is known to do; undefined while none is. */
  call(): ControlCall | undefined {
    const token = this.#token;
    return token === "" ? undefined : bearing(token);
  }

  async #carryOut(): Promise<void> {
    const asked = this.#asked;
    if (asked === undefined) return;
    const token = this.#token === "" ? this.#tokenInput.value.trim() : this.#token;
    if (!/^[\x21-\x7e]+$/.test(token)) {
      setText(this.#failure, "A token is one word.");
      return;
    }
    this.#confirm.disabled = true;
    try {
      await asked.carryOut(bearing(token));
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

function bearing(token: string): ControlCall {
  return { headers: { authorization: `Bearer ${token}` }, timeoutMs: TIMEOUT_MS };
}
