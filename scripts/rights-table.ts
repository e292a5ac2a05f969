/**
 * The table of rights in docs/security.md, made from mesh/auth/rights.ts.
 *
 * `node --import tsx scripts/rights-table.ts --write` puts it between the document's markers.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { grantOf, ROLES } from "../mesh/auth/policy/roles.js";
import { type RightLine, ROUTE_RIGHTS, RPC_RIGHTS } from "../mesh/auth/rights.js";

export const SECURITY_DOC = fileURLToPath(new URL("../docs/security.md", import.meta.url));
const [BEGIN, END] = ["<!-- rights -->", "<!-- /rights -->"];

/** The table as Markdown, with a line end. */
export function rightsTable(): string {
  const lines: [string, RightLine][] = [...Object.entries(RPC_RIGHTS), ...Object.entries(ROUTE_RIGHTS)];
  const rows = lines.map(([path, line]) => `| \`${path}\` | ${needOf(line)} | ${poolsOf(line)} |`);
  return ["| RPC or route | least role | in |", "|---|---|---|", ...rows, ""].join("\n");
}

/** What stands between the document's markers. */
export function rightsTableIn(text: string): string {
  return text.slice(text.indexOf(BEGIN) + BEGIN.length + 1, text.indexOf(END));
}

function needOf({ right, ofOthers, jobsIn }: RightLine): string {
  const least = leastRole(right);
  if (ofOthers === "jobs" && jobsIn !== undefined) {
    return `${least}; ${rolesWithout(right, ofOthers).join(" and ")}: ${jobsIn} without ids of jobs`;
  }
  if (ofOthers === "jobs") return `${least}; ${rolesWithout(right, ofOthers).join(" and ")}: its own jobs`;
  return ofOthers === undefined ? least : `${least} for its own job, ${leastRole(ofOthers)} for any`;
}

/** The roles that have one right and not the other. */
function rolesWithout(right: RightLine["right"], other: RightLine["right"]): string[] {
  const has = (role: (typeof ROLES)[number], each: typeof right): boolean => grantOf(role, ["*"]).rights.includes(each);
  return ROLES.filter((role) => has(role, right) && !has(role, other));
}

function leastRole(right: RightLine["right"]): string {
  if (right === "open") return "none: open";
  return ROLES.find((role) => grantOf(role, ["*"]).rights.includes(right)) ?? "nobody";
}

function poolsOf({ pool, right }: RightLine): string {
  if (right === "open") return "";
  if (pool === "all") return "all pools";
  if (pool === "any") return "any pool";
  return pool === "header" ? "header `pool`" : `\`${pool}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes("--write")) process.stdout.write(rightsTable());
  else {
    const text = readFileSync(SECURITY_DOC, "utf8");
    const old = rightsTableIn(text);
    writeFileSync(
      SECURITY_DOC,
      text.replace(`${BEGIN}\n${old}${END}`, () => `${BEGIN}\n${rightsTable()}${END}`),
    );
  }
}
