/** `top` against a meter over HTTP: what it writes, where it ends, and what it leaves behind. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { PassThrough, Writable } from "node:stream";
import { type TestContext, test } from "node:test";
import { onQuitKey } from "../../../cli/top/keys.js";
import { runTop, type TopOptions } from "../../../cli/top/top.js";
import { PoolError } from "../../../mesh/errors.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { FakeFleet } from "../../support/meter/fake-fleet.js";
import { FakeMeter } from "../../support/meter/fake-meter.js";
import { eventually } from "../../support/wait.js";

class Screen extends Writable {
  text = "";
  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function startMeter(t: TestContext): Promise<FakeMeter> {
  const fleet = new FakeFleet([
    { name: "adder", workers: 3, slots: 4, load: 0.7 },
    { name: "mail", workers: 2, slots: 64, load: 0.3 },
  ]);
  const meter = new FakeMeter(fleet, { stepMs: 50 });
  cleanUp(t, () => meter.stop());
  await meter.start();
  return meter;
}

function startTop(t: TestContext, meterUrl: string, options: Partial<TopOptions> = {}) {
  const screen = new Screen();
  const controller = new AbortController();
  const size = { columns: 120, rows: 30 };
  const modes = { once: false, json: false, isTTY: false, noColor: false };
  const done = runTop({ meterUrl, ...modes, ...size, stdout: screen, signal: controller.signal, ...options });
  cleanUp(t, () => {
    controller.abort();
    return done.catch(() => undefined);
  });
  return { screen, done, end: () => controller.abort() };
}

test("top --once prints pools and every worker as plain lines, and ends", async (t) => {
  const meter = await startMeter(t);
  const { screen, done } = startTop(t, meter.url, { once: true });
  await done;
  for (const name of ["all pools", "adder-3", "mail-2", "UTILIZATION"]) assert.ok(screen.text.includes(name), name);
  assert.ok(!screen.text.includes("\u001b"));
});

test("top --once --json prints one object", async (t) => {
  const meter = await startMeter(t);
  const { screen, done } = startTop(t, meter.url, { once: true, json: true });
  await done;
  const snapshot = JSON.parse(screen.text);
  assert.equal(snapshot.workers.length, 5);
  assert.equal(snapshot.total.slots, 140);
});

test("top --once without a meter says so in time", async () => {
  const options = { once: true, json: false, isTTY: false, noColor: true, columns: 80, rows: 24, firstLimitMs: 200 };
  const signal = new AbortController().signal;
  await assert.rejects(
    runTop({ ...options, meterUrl: "http://127.0.0.1:9", stdout: new Screen(), signal }),
    (error) => error instanceof PoolError && error.reason === "bus_unavailable",
  );
});

for (const once of [true, false]) {
  const how = once ? "top --once" : "top in a pipe";
  test(`${how} at what is no meter, or says nothing at all, exits with 69 and one line that names it`, async (t) => {
    const other = createServer((_, response) => response.writeHead(404).end());
    const silent = createTcpServer();
    for (const server of [other, silent]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanUp(t, () => void server.close());
    }
    cleanUp(t, () => other.closeAllConnections());
    silent.on("connection", (socket) => {
      cleanUp(t, () => void socket.destroy());
      socket.on("error", () => undefined);
    });
    const urls = [other, silent].map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const exits = await Promise.all(
      [...urls, "http://127.0.0.1:9", (urls[0] as string).replace("http:", "https:")].map((url) =>
        runInShell(["top", "--meter", url, ...(once ? ["--once"] : [])]),
      ),
    );
    const whys = [
      /something else answers there \(HTTP 404\)/,
      /no answer within \d+ ms/,
      /ECONNREFUSED/,
      /speaks no TLS; try http/,
    ];
    for (const [i, { code, stdout, stderr }] of exits.entries()) {
      assert.deepEqual([code, stdout], [69, ""]);
      assert.match(stderr, /^poolmesh: bus_unavailable: no meter at https?:.*; name one with --meter URL\n$/);
      assert.match(stderr, whys[i] as RegExp);
    }
  });
}

test("q, Escape and Ctrl-C end the view; the terminal reads lines again afterwards", () => {
  for (const [keys, quits] of [
    ["q", 1],
    ["Q", 1],
    ["\u001b", 1],
    ["\u0003", 1],
    ["x", 0],
    ["\u001b[A", 0],
  ] as const) {
    const modes: boolean[] = [];
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => modes.push(on) });
    let quit = 0;
    const off = onQuitKey(input, () => {
      quit += 1;
    });
    input.emit("data", Buffer.from(keys));
    off();
    input.emit("data", Buffer.from("q"));
    assert.deepEqual([quit, modes], [quits, [true, false]], JSON.stringify(keys));
  }
});

test("top refuses an address that is none, and a bad pool name", async () => {
  const options = { once: true, json: false, isTTY: false, noColor: true, columns: 80, rows: 24 };
  const rest = { ...options, stdout: new Screen(), signal: new AbortController().signal };
  for (const wrong of [{ meterUrl: "nowhere" }, { meterUrl: "ftp://x" }, { meterUrl: "http://x", pool: "a b" }]) {
    await assert.rejects(
      runTop({ ...rest, ...wrong }),
      (error) => error instanceof PoolError && error.reason === "invalid_argument",
    );
  }
});

test("top in a pipe writes a line for each pool, again and again", async (t) => {
  const meter = await startMeter(t);
  const { screen, done, end } = startTop(t, meter.url);
  await eventually(() => screen.text.split(" live mail ").length > 2);
  end();
  await done;
  for (const line of screen.text.trimEnd().split("\n")) {
    assert.match(line, /^\d{4}-\S+Z live (adder|mail) utilization=\d\.\d{3} busy=\d+ slots=\d+ /);
  }
});

test("top on a terminal draws in place and gives the terminal back as it was", async (t) => {
  const meter = await startMeter(t);
  const { screen, done, end } = startTop(t, meter.url, { isTTY: true });
  await eventually(() => screen.text.includes("adder-1"));
  end();
  await done;
  assert.ok(screen.text.startsWith("\u001b[?1049h\u001b[?25l"));
  assert.ok(screen.text.endsWith("\u001b[?25h\u001b[?1049l"));
});

test("top goes on through a restart of its meter", async (t) => {
  const meter = await startMeter(t);
  const port = Number(new URL(meter.url).port);
  const { screen } = startTop(t, meter.url, { isTTY: true, noColor: true });
  await eventually(() => screen.text.includes("● live"));
  await meter.stop();
  await eventually(() => screen.text.includes("✕ disconnected"));
  const again = new FakeMeter(new FakeFleet([{ name: "reborn", workers: 1, slots: 2, load: 0.5 }]), { port });
  cleanUp(t, () => again.stop());
  await again.start();
  await eventually(() => screen.text.includes("reborn-1"));
});
