/** Asks for a token when the meter does not show its values without one. */
import type { Connection } from "../../../../browser.js";
import { element, setText } from "../element.js";
import { refusalText } from "./refusal-text.js";
import type { Session } from "./session.js";

/** One dialog, open while the meter refuses. */
export class TokenDialog {
  readonly #session: Session;
  readonly #onToken: () => void;
  readonly #dialog = element("dialog", "confirm");
  readonly #meaning = element("p");
  readonly #input = element("input");
  readonly #failure = element("p", "failure");
  readonly #enter = element("button", "primary", "Show");
  #isAsking = false;

  /** @param onToken called when there is another token to try */
  constructor(session: Session, onToken: () => void) {
    this.#session = session;
    this.#onToken = onToken;
    const title = element("h2", "", "This meter asks for a token");
    title.id = "token-title";
    this.#dialog.setAttribute("aria-labelledby", title.id);
    this.#failure.setAttribute("role", "alert");
    this.#input.type = "password";
    this.#input.autocomplete = "off";
    this.#input.spellcheck = false;
    const field = element("label", "token", "Token", this.#input);
    const form = element("form", "", title, this.#meaning, field, this.#failure);
    form.append(element("div", "buttons", this.#enter));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try();
    });
    setText(this.#meaning, "It needs the role viewer for all pools. The page keeps it in memory until you close it.");
    this.#dialog.append(form);
    document.body.append(this.#dialog);
  }

  /** Opens when the meter refuses, and closes when it does not. */
  update(connection: Connection): void {
    const refusal = refusalIn(connection);
    if (refusal !== undefined) this.#ask(refusal);
    else if (this.#dialog.open && (connection.state === "live" || connection.state === "stale")) this.#dialog.close();
  }

  #ask(refusal: string): void {
    if (this.#isAsking && this.#dialog.open) return;
    this.#isAsking = true;
    this.#enter.disabled = false;
    setText(this.#failure, this.#session.token() === undefined ? "" : refusal);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.select();
    this.#input.focus();
  }

  #try(): void {
    const token = this.#input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) {
      setText(this.#failure, "A token is one word.");
      return;
    }
    this.#isAsking = false;
    this.#enter.disabled = true;
    setText(this.#failure, "");
    this.#session.use(token);
    this.#onToken();
  }
}

/** Why the meter refuses; undefined when it does not. Without a token it refuses everybody alike, which needs no words. */
function refusalIn(connection: Connection): string | undefined {
  if (connection.state !== "disconnected" || Number.isFinite(connection.retryInMs)) return undefined;
  return refusalText(connection.error);
}
