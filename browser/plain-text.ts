/**
 * Strangers' text, made fit to be shown on one line.
 *
 * Pages set it as text, never as markup, and terminals would obey escape
 * sequences: so what could move a cursor, turn the reading direction or hide
 * is replaced here, for both.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** One line of `text`: control, direction and zero-width characters become "·"; at most `maxLength` characters. */
export function plainText(text: string, maxLength = 120): string {
  const fit = text.slice(0, maxLength + 1).replace(UNFIT, "·");
  return fit.length > maxLength ? `${fit.slice(0, maxLength - 1)}…` : fit;
}
