/** Commands with `--url` at somebody who is no manager: one line that names it and 69, long before a job's deadline. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { EXIT } from "../../../cli/exit-codes.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";

leakGuard();

const COMMANDS = [
  ["submit", "adder", "1"],
  ["map", "adder"],
  ["workers", "--pool", "adder"],
  ["cancel", "adder", "x"],
  ["job", "x"],
  ["jobs", "adder"],
  ["enqueue", "adder", "1"],
  ["dead", "adder", "list"],
  ["tail"],
];
const SAYS: readonly (readonly [what: string, answer: string])[] = [
  ["says nothing at all", ""],
  ["answers with a page", "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi"],
  ["answers with no HTTP", "INFO {}\r\n"],
];

for (const [what, answer] of SAYS) {
  test(`--url at what ${what} ends with 69 and one line that names it, whatever the command`, async (t) => {
    const server = createServer((socket) => {
      cleanUp(t, () => void socket.destroy());
      socket.on("error", () => undefined);
      socket.once("data", () => void socket.write(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp(t, () => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ends = await Promise.all(
      COMMANDS.map((argv) => runInShell([...argv, "--url", url], { NATS_URL: "nats://127.0.0.1:1" }, { input: "1\n" })),
    );
    for (const [i, { code, stdout, stderr }] of ends.entries()) {
      const told = `${COMMANDS[i]?.join(" ")}: ${stderr}`;
      assert.equal(code, EXIT.unavailable, told);
      assert.equal(stdout, "", told);
      assert.equal(stderr.trim().split("\n").length, 1, told);
      assert.ok(stderr.includes(url), told);
    }
  });
}
