/** Which versions of Poolmesh are in one mesh, and whether they are tested together. Pure. */
import { compareVersions } from "../../broker/find.js";
import { plural } from "../../browser/format.js";
import type { Finding } from "./finding.js";

/** The part of a mesh that says a version. */
export type VersionedPart = "manager" | "meter" | "worker";

/** A part and its version, as the NATS service API tells them. Workers in other languages are not there. */
export interface SeenVersion {
  readonly part: VersionedPart;
  readonly version: string;
}

const PARTS: readonly VersionedPart[] = ["manager", "meter", "worker"];
/** Most versions that a line names. */
const NAMED = 5;
/** How many minor releases apart parts may be. */
const TESTED_MINORS = 1;
const ORDER = "meters, then managers, then workers";

/** Nothing when nobody says a version. */
export function versionFindings(seen: readonly SeenVersion[]): Finding[] {
  const versions = [...new Set(seen.map(({ version }) => version))].filter(isVersion).sort(compareVersions);
  const [oldest, newest] = [versions[0], versions.at(-1)];
  if (oldest === undefined || newest === undefined) return [];
  const what = "poolmesh";
  if (oldest === newest) return [{ state: "ok", what, found: `all parts are of version ${newest}` }];
  const found = `mixed versions: ${listed(seen, versions)}`;
  if (areTested(oldest, newest)) {
    return [{ state: "ok", what, found, advice: `finish the upgrade: ${ORDER}; one minor release apart is tested` }];
  }
  const advice = `upgrade what is older than ${newest}: ${ORDER}; only one minor release apart is tested`;
  return [{ state: "note", what, found, advice }];
}

/** Whether two versions are tested in one mesh: at most one minor release apart, of the same major one. */
export function areTested(a: string, b: string): boolean {
  const [[majorA, minorA], [majorB, minorB]] = [numbersOf(a), numbersOf(b)];
  return majorA === majorB && Math.abs(minorA - minorB) <= TESTED_MINORS;
}

function listed(seen: readonly SeenVersion[], versions: readonly string[]): string {
  const lines = versions.map((version) => {
    const counts = PARTS.map(
      (part) => [part, seen.filter((each) => each.part === part && each.version === version)] as const,
    );
    const parts = counts.filter(([, all]) => all.length > 0).map(([part, all]) => plural(all.length, part));
    return `${version} (${parts.join(", ")})`;
  });
  const more = lines.length > NAMED ? `, and ${lines.length - NAMED} more` : "";
  return lines.slice(0, NAMED).join(", ") + more;
}

function isVersion(version: string): boolean {
  return /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[\w.-]{1,40})?$/.test(version);
}

function numbersOf(version: string): readonly [major: number, minor: number] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return [major, minor];
}
