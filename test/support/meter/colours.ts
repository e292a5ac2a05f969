/** The colours of a page, and how well one is read on another. */
import type { Page } from "playwright-core";

/** Colours of tokens.css painted over each other, as red, green and blue. */
export function mixed(page: Page, names: readonly string[]): Promise<number[]> {
  return page.evaluate((colours) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const style = getComputedStyle(document.documentElement);
    if (canvas === null) return [];
    for (const colour of colours) {
      canvas.fillStyle = style.getPropertyValue(`--${colour}`);
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }, names);
}

/** The contrast of two colours as WCAG 2 defines it, 1 to 21. */
export function contrast(a: readonly number[], b: readonly number[]): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

function luminance(rgb: readonly number[]): number {
  const [r = 0, g = 0, b = 0] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
