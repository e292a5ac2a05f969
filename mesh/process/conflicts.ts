/**
 * Settings that contradict each other: without a refusal one of them would have no
 * effect. Pure. Options are known by their names, so this serves every program.
 */

type Settings = Readonly<Record<string, unknown>>;

interface Conflict {
  /** The option that is named in the message. */
  readonly option: string;
  readonly applies: (settings: Settings) => boolean;
  readonly why: string;
}

const isSet = (settings: Settings, name: string): boolean => settings[name] !== undefined && settings[name] !== false;
const listLength = (value: unknown): number => (Array.isArray(value) ? value.length : 0);

const CONFLICTS: readonly Conflict[] = [
  both("token", "user"),
  both("credsFile", "user"),
  both("credsFile", "token"),
  both("nkeyFile", "user"),
  both("nkeyFile", "token"),
  both("nkeyFile", "credsFile"),
  needs("natsTlsCertFile", "natsTlsKeyFile"),
  needs("natsTlsKeyFile", "natsTlsCertFile"),
  needs("tlsCertFile", "tlsKeyFile"),
  needs("tlsKeyFile", "tlsCertFile"),
  needs("tlsClientCaFile", "tlsCertFile"),
  { ...needs("tlsClientCaFile", "policyFile"), why: "needs policyFile, which says what each certificate may do" },
  both("policyFile", "controlToken"),
  {
    option: "isolation",
    applies: (settings) => isSet(settings, "exec") && settings.isolation !== "inline",
    why: "says nothing with exec: a command is a process of its own",
  },
  {
    option: "coalesceMs",
    applies: ({ coalesceMs, heartbeatIntervalMs }) => Number(coalesceMs) > Number(heartbeatIntervalMs),
    why: "is longer than heartbeatIntervalMs, which would never be kept",
  },
  {
    option: "inboxPrefix",
    applies: ({ inboxPrefix, prefix }) => typeof inboxPrefix === "string" && `${inboxPrefix}.`.startsWith(`${prefix}.`),
    why: "lies within prefix: replies would be taken for jobs",
  },
  {
    option: "maxPools",
    applies: ({ pools, maxPools }) => listLength(pools) > Number(maxPools),
    why: "is less than the number of pools",
  },
  {
    option: "pools",
    applies: ({ pools }) => Array.isArray(pools) && new Set(pools).size < pools.length,
    why: "names a pool twice",
  },
  {
    option: "parkedBytesLimit",
    applies: ({ parkedLimit, parkedBytesLimit }) => Number(parkedLimit) > 0 && parkedBytesLimit === 0,
    why: "is 0, so that no job could be parked, although parkedLimit allows it",
  },
];

/** A line for each contradiction, beginning with the name of an option. */
export function conflictsOf(settings: Settings): string[] {
  return CONFLICTS.filter(({ applies }) => applies(settings)).map(({ option, why }) => `${option}: ${why}`);
}

function both(option: string, other: string): Conflict {
  const applies = (settings: Settings): boolean => isSet(settings, option) && isSet(settings, other);
  return { option, applies, why: `contradicts ${other}: say one of them` };
}

function needs(option: string, other: string): Conflict {
  const applies = (settings: Settings): boolean => isSet(settings, option) && !isSet(settings, other);
  return { option, applies, why: `needs ${other}` };
}
