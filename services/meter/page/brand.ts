/** The logo in the head of the page, and the tab's icon and title: nine cells, filled by the pool's utilization. */
import { percent } from "../../../browser/format.js";
import { byId, element, setAttribute } from "./element.js";

const CELLS = 9;
const COLORS = { live: "#12a08f", other: "#8a9a98", lost: "#d2543d" } as const;

/** What the logo shows. */
export interface BrandLevel {
  /** 0 to 1; undefined when unknown. */
  readonly utilization: number | undefined;
  readonly live: boolean;
  readonly lost: number;
  readonly pool: string;
}

/** How many of nine cells are filled: none only when idle, all only when full. Pure. */
export function filledCells(utilization: number): number {
  if (utilization <= 0) return 0;
  if (utilization >= 1) return CELLS;
  return Math.min(CELLS - 1, Math.max(1, Math.round(utilization * CELLS)));
}

/** Draws the logo. */
export class Brand {
  readonly #cells = Array.from({ length: CELLS }, () => element("span"));
  readonly #icon = byId<HTMLLinkElement>("favicon");
  #drawn = "";

  constructor() {
    byId("brand-mesh").append(...this.#cells);
  }

  update(level: BrandLevel): void {
    const known = level.utilization !== undefined && level.live;
    const name = level.pool === "" ? "Poolmesh" : level.pool;
    const trouble = level.lost > 0 ? ` · ${level.lost} lost` : "";
    document.title = known ? `${percent(level.utilization ?? 0)} · ${name}${trouble}` : name;
    const filled = filledCells(level.utilization ?? 0);
    const color = level.live ? (level.lost > 0 ? COLORS.lost : COLORS.live) : COLORS.other;
    const drawn = `${filled}${color}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#cells.forEach((cell, i) => {
      cell.classList.toggle("busy", isFilled(i, filled));
    });
    setAttribute(this.#icon, "href", `data:image/svg+xml,${encodeURIComponent(iconOf(filled, color))}`);
  }
}

/** Cells fill from the bottom row up, and from left to right. */
function isFilled(index: number, filled: number): boolean {
  const fromBottom = (2 - Math.floor(index / 3)) * 3 + (index % 3);
  return fromBottom < filled;
}

function iconOf(filled: number, color: string): string {
  const cells = Array.from({ length: CELLS }, (_, i) => {
    const fill = isFilled(i, filled) ? `fill="${color}"` : 'fill="#8a9a98" opacity=".4"';
    return `<rect x="${1 + (i % 3) * 5}" y="${1 + Math.floor(i / 3) * 5}" width="4" height="4" rx="1" ${fill}/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${cells.join("")}</svg>`;
}
