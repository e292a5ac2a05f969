/** A set of rights as nats-server's configuration, as the claims of a user JWT, and as a command of `nsc`. Pure. */
import type { Right, Rights } from "./right.js";

export const FORMATS = ["conf", "jwt", "nsc"] as const;
/** In which form rights are printed. */
export type RightsFormat = (typeof FORMATS)[number];

/** The permissions of a user JWT: the keys of its `nats` claim. */
export interface JwtPermissions {
  readonly pub: { readonly allow: readonly string[] };
  readonly sub: { readonly allow: readonly string[] };
  /** `ttl` in nanoseconds. */
  readonly resp?: { readonly max: number; readonly ttl: number };
}

/** Lines for nats-server's configuration: `permissions: { … }` of one user, with a comment for each subject. */
export function confPermissions({ publish, subscribe, responses }: Rights): string[] {
  return [
    "permissions: {",
    ...confList("publish", publish),
    ...confList("subscribe", subscribe),
    ...(responses === undefined
      ? []
      : [`  allow_responses: { max: ${responses.max}, expires: "${responses.withinMs / 1_000}s" }`]),
    "}",
  ];
}

/**
 * Lines for nats-server's configuration: one entry of `users`.
 *
 * @param nkey the user's public nkey; without one it has a password, which the server takes from its environment
 */
export function confUser(rights: Rights, nkey?: string): string[] {
  const user = userName(rights);
  const secret = `${user.toUpperCase().replaceAll("-", "_")}_PASSWORD`;
  const who = nkey === undefined ? `user: "${user}", password: $${secret}` : `nkey: "${nkey}"`;
  return ["{", `  ${who}`, ...confPermissions(rights).map((line) => `  ${line}`), "}"];
}

/** The claims of a user JWT. */
export function jwtPermissions({ publish, subscribe, responses }: Rights): JwtPermissions {
  return {
    pub: { allow: publish.map(inOneWord) },
    sub: { allow: subscribe.map(inOneWord) },
    ...(responses === undefined ? {} : { resp: { max: responses.max, ttl: responses.withinMs * 1e6 } }),
  };
}

/** Lines of a shell: the command of `nsc` that makes the user in the current account. */
export function nscCommand(rights: Rights): string[] {
  const { publish, subscribe, responses } = rights;
  return [
    `nsc add user --name ${userName(rights)}`,
    ...publish.map((each) => `--allow-pub '${inOneWord(each)}'`),
    ...subscribe.map((each) => `--allow-sub '${inOneWord(each)}'`),
    ...(responses === undefined
      ? []
      : [`--allow-pub-response=${responses.max}`, `--response-ttl=${responses.withinMs / 1_000}s`]),
  ].map((line, i, { length }) => `${i === 0 ? "" : "  "}${line}${i < length - 1 ? " \\" : ""}`);
}

/** The name of the user in what is printed. */
export function userName({ holder: { role, name, pools } }: Rights): string {
  return role === "worker" ? `${role}-${pools?.[0]}-${name}` : `${role}-${name}`;
}

/** For people: whose rights these are. */
export function titleOf({ holder: { role, name, pools } }: Rights): string {
  if (pools === undefined) return `${role} ${name}, all pools`;
  return `${role} ${name}, ${pools.length === 1 ? "pool" : "pools"} ${pools.join(", ")}`;
}

/** The flags that make a program use these rights. */
export function flagsOf({ holder: { role, name, pools, durable, large }, inboxPrefix }: Rights): string[] {
  const isService = role === "worker" || role === "manager" || role === "meter";
  const pool = role === "worker" ? ` --pool ${pools?.[0]}` : pools === undefined ? "" : ` --pools ${pools.join(",")}`;
  const lane = durable && role === "manager" ? " --durable" : "";
  const objects = large && role === "worker" ? " --large-payloads" : "";
  const own = isService ? [`--id ${name}${pool}${lane}${objects}`] : [];
  return inboxPrefix === undefined ? own : [...own, `--inbox-prefix ${inboxPrefix}`];
}

function confList(name: string, rights: readonly Right[]): string[] {
  const words = rights.map((each) => `"${inOneWord(each)}"`);
  const width = Math.max(...words.map(({ length }) => length));
  return [`  ${name}: [`, ...rights.map(({ why }, i) => `    ${(words[i] as string).padEnd(width)} # ${why}`), "  ]"];
}

/** As nats-server writes a right: the queue group after a space. */
function inOneWord({ subject, queue }: Right): string {
  return queue === undefined ? subject : `${subject} ${queue}`;
}
