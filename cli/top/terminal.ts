/** The terminal while the live view has it: alternate screen, no cursor, drawn over in place, given back at the end. */
import type { Writable } from "node:stream";

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
const BEGIN_SYNC = "\u001b[?2026h";
const END_SYNC = "\u001b[?2026l";

/** Draws screens without a flicker: one write a screen, nothing written when nothing changed. */
export class Terminal {
  #drawn = "";
  #entered = false;

  constructor(readonly stdout: Writable) {}

  enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    this.stdout.write(ENTER);
  }

  /** @param lines as many as the terminal is high, at most */
  draw(lines: readonly string[]): void {
    const screen = lines.map((line) => line + CLEAR_LINE).join("\r\n");
    if (screen === this.#drawn) return;
    this.#drawn = screen;
    this.stdout.write(BEGIN_SYNC + HOME + screen + CLEAR_BELOW + END_SYNC);
  }

  /** Draws anew at the next occasion: the terminal's size changed. */
  forget(): void {
    this.#drawn = "";
  }

  leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.stdout.write(LEAVE);
  }
}
