/** Where each document stands in the site: its section, and its place there. Pure. */

/** A section of the site's navigation. */
export interface Section {
  readonly title: string;
  /** Documents in their order: a path, or a folder whose documents come by name. */
  readonly documents: readonly string[];
}

/** All sections, in their order. "API" is what TypeDoc makes of the sources. */
export const SECTIONS: readonly Section[] = [
  { title: "Start", documents: ["docs/getting-started.md", "docs/glossary.md"] },
  {
    title: "Write programs",
    documents: [
      "docs/handlers.md",
      "docs/typed-pools.md",
      "docs/durable.md",
      "docs/large-payloads.md",
      "docs/middleware.md",
      "docs/testing.md",
      "docs/options.md",
    ],
  },
  { title: "Choose", documents: ["docs/guides/"] },
  { title: "Migrate", documents: ["docs/migration/"] },
  {
    title: "Operate",
    documents: [
      "docs/operations.md",
      "docs/scaling.md",
      "docs/tracing.md",
      "docs/compatibility.md",
      "docs/security.md",
      "docs/permissions.md",
      "docs/keda.md",
      "docs/faults.md",
    ],
  },
  { title: "API", documents: [] },
  { title: "Protocol", documents: ["docs/protocol.md", "proto/"] },
  {
    title: "How it works",
    documents: ["docs/architecture.md", "docs/simulation.md", "docs/benchmarks.md", "docs/adr/README.md"],
  },
  { title: "Changes", documents: ["CHANGELOG.md"] },
];

/** A document's section; undefined when it has none. */
export function sectionOf(path: string): Section | undefined {
  return SECTIONS.find(({ documents }) => placeIn(documents, path) >= 0);
}

/** The documents that stand in a section, in the order of the site. Those of a folder come by name, README.md first. */
export function inOrder(paths: readonly string[]): string[] {
  const orders = SECTIONS.flatMap(({ documents }) => documents);
  const placed = paths.filter((path) => placeIn(orders, path) >= 0);
  return placed.sort((a, b) => placeIn(orders, a) - placeIn(orders, b) || nameRank(a).localeCompare(nameRank(b)));
}

function placeIn(documents: readonly string[], path: string): number {
  return documents.findIndex((each) => path === each || (each.endsWith("/") && path.startsWith(each)));
}

function nameRank(path: string): string {
  return path.replace(/README\.md$/, "");
}
