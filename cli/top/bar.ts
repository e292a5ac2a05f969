/** Levels and slots in characters. Pure. */

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A level of `width` columns, filled to an eighth of a column: the filled part, and the rest. */
export function levelBar(share: number, width: number): readonly [filled: string, rest: string] {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const whole = Math.floor(eighths / 8);
  const part = EIGHTHS[eighths % 8] ?? "";
  return ["█".repeat(whole) + part, "·".repeat(width - whole - (part === "" ? 0 : 1))];
}

/** Slots one by one where `width` has room for them, else as a level: busy ones, and free ones. */
export function slotCells(busy: number, slots: number, width: number): readonly [busy: string, free: string] {
  if (slots > width) return levelBar(busy / slots, width);
  const taken = Math.min(busy, slots);
  return ["■".repeat(taken), "□".repeat(slots - taken)];
}
