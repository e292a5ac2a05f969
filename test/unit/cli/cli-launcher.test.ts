/** Finding npm above this program, and noticing that it has gone. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  hasGone,
  isOrphan,
  launchersOf,
  type ProcessFacts,
  type ProcessTable,
  processTable,
} from "../../../cli/launcher.js";

function tableOf(processes: Readonly<Record<number, readonly [parent: number, command: string]>>): ProcessTable {
  return (pid): ProcessFacts | undefined => {
    const [parent, command] = processes[pid] ?? [];
    return parent === undefined || command === undefined ? undefined : { parent, command };
  };
}

describe("launcher - npm above this program", () => {
  const npms = [
    "npm exec poolmesh worker",
    "npm run dev",
    "node /usr/lib/node_modules/npm/bin/npm-cli.js exec",
    "node /usr/bin/npx poolmesh",
    "/usr/bin/node /opt/pnpm/bin/pnpm.cjs exec",
    "node /usr/share/yarn/bin/yarn.js start",
  ];
  for (const npm of npms) {
    test(`"${npm}" is found directly and behind a shell`, () => {
      assert.deepEqual(launchersOf(7, tableOf({ 7: [5, npm] })), [7]);
      assert.deepEqual(launchersOf(9, tableOf({ 9: [7, "sh -c poolmesh worker"], 7: [5, npm] })), [9, 7]);
      assert.deepEqual(launchersOf(9, tableOf({ 9: [7, "/bin/dash x"], 7: [5, npm] })), [9, 7]);
    });
  }

  test("another program between is that program's affair, and a shell of a person is nobody's", () => {
    const others = ["node test.js", "python3 npm.py x", "systemd", "tmux: server", "node /srv/npm-stats/main.js"];
    for (const other of others) {
      assert.equal(launchersOf(9, tableOf({ 9: [7, other], 7: [5, "npm exec"] })), undefined, other);
    }
    assert.equal(launchersOf(9, tableOf({ 9: [1, "-bash"], 1: [0, "init"] })), undefined);
    assert.equal(launchersOf(9, tableOf({})), undefined);
  });
});

describe("launcher - npm has gone", () => {
  const chain = [9, 7];
  const alive = { 9: [7, "sh -c x"], 7: [5, "npm exec"] } as const;

  test("while everyone is there nothing has gone", () => {
    assert.equal(hasGone(chain, 9, tableOf(alive)), false);
    assert.equal(hasGone([7], 7, tableOf(alive)), false);
  });

  test("another parent of this program, or of the shell, means that it has gone", () => {
    assert.equal(hasGone(chain, 1, tableOf(alive)), true);
    assert.equal(hasGone(chain, 9, tableOf({ 9: [1, "sh -c x"] })), true);
    assert.equal(hasGone(chain, 9, tableOf({ 9: [88, "sh -c x"], 7: [5, "npm exec"] })), true);
    assert.equal(hasGone(chain, 9, tableOf({})), true);
  });

  test("who comes too late to see npm is an orphan of process 1, perhaps behind a shell", () => {
    assert.equal(isOrphan(1, tableOf({})), true);
    assert.equal(isOrphan(9, tableOf({ 9: [1, "sh -c x"] })), true);
    assert.equal(isOrphan(9, tableOf({ 9: [7, "sh -c x"], 7: [1, "npm exec"] })), false);
  });
});

test("launcher - a real process has a parent and a command", () => {
  const facts = processTable(process.pid);
  assert.equal(facts?.parent, process.ppid);
  assert.match(facts?.command ?? "", /node/);
});
