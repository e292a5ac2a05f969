/** Help pages, and mistakes on the command line. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { COMMANDS } from "../../../cli/commands.js";
import { EXIT } from "../../../cli/exit-codes.js";
import { flagName } from "../../../mesh/process/config.js";
import { OPTIONS, type OptionName } from "../../../mesh/process/options.js";
import { MANAGER_OPTIONS } from "../../../services/manager/config.js";
import { METER_OPTIONS } from "../../../services/meter/config.js";
import { WORKER_CONFIG } from "../../../services/worker/config.js";
import { runInShell } from "../../support/docs/fake-shell.js";

describe("help", () => {
  test("without a command it lists every one in its group", async () => {
    for (const argv of [[], ["--help"], ["help"]]) {
      const { code, stdout } = await runInShell(argv);
      assert.equal(code, 0);
      for (const { name, summary, group } of COMMANDS) {
        assert.ok(stdout.includes(`\n${group}\n`));
        assert.match(stdout, new RegExp(`^  ${name} +${summary}$`, "m"));
      }
    }
  });

  for (const { name } of COMMANDS) {
    test(`${name} has help for 80 columns, and for 60, with a usage line, and examples that name it`, async () => {
      const { code, stdout, stderr } = await runInShell([name, "--help"]);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, new RegExp(`^Usage: poolmesh ${name} `));
      assert.match(stdout, new RegExp(`^Examples:\n(?:.*\n)*.*poolmesh ${name}`, "m"));
      assert.ok(!stdout.includes("\u001b"));
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
      assert.equal((await runInShell(["help", name])).stdout, stdout);
      const narrow = await runInShell([name, "--help"], { NO_COLOR: "1" }, { outputColumns: 60 });
      for (const line of narrow.stdout.split("\n")) assert.ok(line.length <= 60, line);
      // a command is not broken within quotes
      const whole = (page: string): string => page.replace(/ \\\n +/g, " ");
      for (const [command] of whole(stdout).matchAll(/^ {2}(?!-)\S.*\bpoolmesh .*'.*$/gm))
        assert.ok(whole(narrow.stdout).includes(command), command);
    });
  }

  test("help in colours has the lines of help without them, at every width", async () => {
    for (const { name } of COMMANDS) {
      for (const outputColumns of [50, 60, 80, 100]) {
        const plain = await runInShell([name, "--help"], { NO_COLOR: "1" }, { outputColumns });
        const colored = await runInShell([name, "--help"], { FORCE_COLOR: "1" }, { outputColumns });
        assert.ok(colored.stdout.includes("\u001b[36m"));
        assert.equal(stripVTControlCharacters(colored.stdout), plain.stdout, `${name}, ${outputColumns} columns`);
      }
    }
  });

  const services = [
    ["manager", MANAGER_OPTIONS],
    ["worker", WORKER_CONFIG],
    ["meter", METER_OPTIONS],
  ] as const;
  for (const [name, specs] of services) {
    test(`${name} has a flag for each of its options, and none for a secret`, async () => {
      const { stdout } = await runInShell([name, "--help"]);
      for (const option of Object.keys(specs) as OptionName[]) {
        assert.equal(new RegExp(`^  ${flagName(option)}\\b`, "m").test(stdout), !("secret" in OPTIONS[option]), option);
      }
    });
  }

  test("the version is that of the package", async () => {
    assert.match((await runInShell(["--version"])).stdout, /^\d+\.\d+\.\d+\S*\n$/);
  });
});

describe("mistakes", () => {
  const cases: readonly [argv: string[], stderr: RegExp][] = [
    [["submitt", "p"], /^poolmesh: unknown command "submitt"; did you mean submit\?\n$/],
    [["help", "submitt"], /^poolmesh: unknown command "submitt"; did you mean submit\?\n$/],
    [["xyzzy"], /^poolmesh: unknown command "xyzzy"; see poolmesh --help\n$/],
    [["map", "p", "--orderd"], /unknown option '--orderd'\n\(Did you mean --ordered\?\)\n$/],
    [["submit"], /missing required argument 'POOL'; see poolmesh submit --help\n$/],
    [["submit", "p", "x", "y"], /^poolmesh: too many arguments: 3 where 2 may be; see poolmesh submit --help\n$/],
    [["dead", "p", "foo"], /^poolmesh: ACTION 'foo' is invalid\. Use one of list, show, retry, purge\.\n$/],
    [["token", "--zzzzzzzz"], /unknown option '--zzzzzzzz'; see poolmesh token --help\n$/],
    [["submit", "p", "x", "--priority", "max"], /Allowed choices are high, normal, low/],
    [["map", "p", "--window", "0"], /'--window <N>' argument '0' is invalid\. Use a whole number from 1 to 65536/],
    [["resize", "w"], /invalid_argument: slots: say how many, from 1 to \d+: poolmesh resize WORKER 16\n$/],
    [["resize", "w", "0"], /invalid_argument: slots: say how many/],
    [["resize", "w", "1e3"], /invalid_argument: slots: say how many/],
    [["resize", "w", "3", "--slots", "4"], /invalid_argument: slots: say the number once/],
    [["resize", "3"], /invalid_argument: worker: name a WORKER, or say --pool POOL/],
    [["workers", "a", "--pool", "b"], /invalid_argument: pool: name one pool/],
    [["up", "--manager-listen", "x:y"], /use HOST:PORT/],
    [["drain"], /invalid_argument: worker: name a WORKER, or say --pool POOL/],
    [["submit", "a b", "1"], /invalid_argument: pool name has a character that is not allowed/],
    [["submit", "a\u001b[31m", "1"], /invalid_argument: pool name has a character that is not allowed/],
  ];
  for (const [argv, pattern] of cases) {
    test(`${JSON.stringify(argv.join(" "))} is refused with 2 and one clear message`, async () => {
      const { code, stdout, stderr } = await runInShell(argv);
      assert.deepEqual([code, stdout], [EXIT.usage, ""]);
      assert.match(stderr, pattern);
      assert.ok(!stderr.includes("\u001b"));
    });
  }

  test("a wrong configuration names every mistake and exits with 78", async () => {
    const env = { POOLMESH_SLOST: "1", NATS_URL: "http://x" };
    const { code, stderr } = await runInShell(["doctor", "--prefix", "a b"], env);
    assert.equal(code, EXIT.config);
    assert.match(stderr, /POOLMESH_SLOST: unknown; did you mean POOLMESH_SLOTS\?/);
    assert.match(stderr, /NATS_URL: use URLs/);
    assert.match(stderr, /--prefix: /);
  });
});
