/** The links of a site: every one that stays in the site leads to a page, and to a place of it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

/** Pages by their path in the site. */
type Pages = ReadonlyMap<string, string>;

/** The dead links of a site, a line for each; empty when there is none. */
export function deadLinks(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );
  const pages = new Map(
    files.filter((name) => name.endsWith(".html")).map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );
  return deadLinksOf(pages, new Set(files));
}

/** The same of pages in memory. Pure. @param files paths of all files of the site */
export function deadLinksOf(pages: Pages, files: ReadonlySet<string>): string[] {
  const places = new Map([...pages].map(([name, html]) => [name, placesOf(html)]));
  return [...pages].flatMap(([page, html]) =>
    [...new Set(linksOf(html))].flatMap((link) => {
      const reason = whyDead(page, link, files, places);
      return reason === undefined ? [] : [`${page} links to ${link}, ${reason}`];
    }),
  );
}

function whyDead(
  page: string,
  link: string,
  files: ReadonlySet<string>,
  places: ReadonlyMap<string, ReadonlySet<string>>,
): string | undefined {
  if (/^([a-z][a-z+.-]*:|\/\/)/i.test(link)) return undefined;
  const [path = "", anchor] = link.split("#");
  const file = decodeURIComponent(path.replace(/\?.*$/, ""));
  const target = file === "" ? page : relative(".", normalize(join(dirname(page), file)));
  if (!files.has(target)) return "which is not there";
  const found = places.get(target);
  if (anchor === undefined || anchor === "" || found === undefined) return undefined;
  return found.has(decodeURIComponent(anchor)) ? undefined : "which has no such place";
}

/** Where links may lead within a page. */
function placesOf(html: string): Set<string> {
  return new Set([...html.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id = ""]) => plain(id)));
}

function linksOf(html: string): string[] {
  return [...html.matchAll(/<(?:a|img|link|script|source)\s[^>]*?\b(?:href|src)="([^"]*)"/g)].map(([, link = ""]) =>
    plain(link),
  );
}

function plain(text: string): string {
  return text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<");
}
