/** What `poolmesh doctor` says of the versions in a mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { areTested, type SeenVersion, versionFindings } from "../../../cli/doctor/version-findings.js";

const mesh = (manager: string, meter: string, ...workers: string[]): SeenVersion[] => [
  { part: "manager", version: manager },
  { part: "meter", version: meter },
  ...workers.map((version) => ({ part: "worker", version }) as const),
];

test("versions - one version is well, and nobody's version is no finding", () => {
  const [finding, ...more] = versionFindings(mesh("1.2.0", "1.2.0", "1.2.0"));
  assert.deepEqual([finding?.state, finding?.found, more], ["ok", "all parts are of version 1.2.0", []]);
  assert.deepEqual(versionFindings([]), []);
  assert.deepEqual(versionFindings([{ part: "worker", version: "dev" }]), []);
});

test("versions - parts one minor release apart are named, and well", () => {
  const [finding] = versionFindings(mesh("1.3.0", "1.3.0", "1.2.9", "1.2.9"));
  assert.equal(finding?.state, "ok");
  assert.equal(finding?.found, "mixed versions: 1.2.9 (2 workers), 1.3.0 (1 manager, 1 meter)");
});

test("versions - parts more than one minor release apart are worth knowing, with the order of the upgrade", () => {
  const [finding] = versionFindings(mesh("1.10.0", "1.9.0", "1.8.4"));
  assert.equal(finding?.state, "note");
  assert.match(
    finding?.found ?? "",
    /^mixed versions: 1\.8\.4 \(1 worker\), 1\.9\.0 \(1 meter\), 1\.10\.0 \(1 manager\)$/,
  );
  assert.match(finding?.advice ?? "", /upgrade what is older than 1\.10\.0: meters, then managers, then workers/);
});

test("versions - patches and pre-releases do not count, another major release does", () => {
  for (const [a, b, tested] of [
    ["0.1.0", "0.1.7", true],
    ["0.1.0-abc", "0.2.0", true],
    ["0.1.0", "0.3.0", false],
    ["1.0.0", "2.0.0", false],
  ] as const) {
    assert.equal(areTested(a, b), tested, `${a} and ${b}`);
    assert.equal(areTested(b, a), tested, `${b} and ${a}`);
  }
});

test("versions - a mesh with many versions names five of them", () => {
  const many = Array.from({ length: 9 }, (_, n) => `0.${n}.0`);
  const [finding] = versionFindings(mesh("0.0.0", "0.0.0", ...many));
  assert.match(finding?.found ?? "", /0\.4\.0 \(1 worker\), and 4 more$/);
});
