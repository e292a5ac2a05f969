/** Colours for canvases, read from the style sheet, so that light and dark are decided in one place. */

/** The names of tokens.css that canvases use. */
export interface Palette {
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly cell: string;
  readonly water: string;
  readonly wash: string;
  readonly amber: string;
  readonly amberWash: string;
  readonly coral: string;
  readonly iris: string;
}

/** The colours of the current scheme. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ink: of("--ink"),
    soft: of("--soft"),
    line: of("--line"),
    cell: of("--cell"),
    water: of("--water"),
    wash: of("--wash"),
    amber: of("--amber"),
    amberWash: of("--amber-wash"),
    coral: of("--coral"),
    iris: of("--iris"),
  };
}

/** Calls `changed` whenever the colour scheme does. */
export function onSchemeChange(changed: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
