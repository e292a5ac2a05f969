/**
 * The token that this page's reader has typed.
 *
 * It is in this object and nowhere else: no cookie, no storage, no address. It goes when
 * the page is closed or loaded again.
 */
import { createMeterClient } from "../../../../browser.js";

/** One page's session. */
export class Session {
  #token: string | undefined;

  /** What calls bear; undefined: nothing. */
  readonly token = (): string | undefined => this.#token;
  /** A client of the meter that bears it. */
  readonly client = createMeterClient({ token: this.token });

  /** From now on calls bear this. */
  use(token: string): void {
    this.#token = token;
  }
}
