/** Which versions are too far apart to run together for long. Pure. */

/** The versions that are more than one minor version, or a major one, behind the newest. What is no version counts not. */
export function farBehind(versions: Iterable<string>): ReadonlySet<string> {
  const parsed = [...new Set(versions)].flatMap((version) => {
    const found = /^v?(\d{1,6})\.(\d{1,6})\./.exec(version);
    return found === null ? [] : [{ version, major: Number(found[1]), minor: Number(found[2]) }];
  });
  const newest = parsed.reduce((a, b) => ((b.major - a.major || b.minor - a.minor) > 0 ? b : a), parsed[0] ?? NONE);
  const far = parsed.filter(({ major, minor }) => major < newest.major || minor < newest.minor - 1);
  return new Set(far.map(({ version }) => version));
}

const NONE = { version: "", major: 0, minor: 0 };
