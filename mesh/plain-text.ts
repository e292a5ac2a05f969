/**
 * Text from other processes, made safe to show and to log.
 *
 * A page sets it as text, never as markup. A terminal would obey escape
 * sequences. So characters that move the cursor, change the reading direction or
 * are invisible are replaced here, for both.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** One line of `text`: control, direction and zero-width characters become "·"; at most `maxLength` characters. */
export function plainText(text: string, maxLength = 120): string {
  const fit = text.slice(0, maxLength + 1).replace(UNFIT, "·");
  return fit.length > maxLength ? `${fit.slice(0, maxLength - 1)}…` : fit;
}

/** The same of a text that may have several lines: line feeds and tabs stay. */
export function plainLines(text: string, maxLength: number): string {
  const fit = text.slice(0, maxLength + 1).replace(UNFIT, (found) => (found === "\n" || found === "\t" ? found : "·"));
  return fit.length > maxLength ? `${fit.slice(0, maxLength - 1)}…` : fit;
}
