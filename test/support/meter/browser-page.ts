/**
 * The live page in a real Chromium, watched: what it logs, and where it tries to go.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { build } from "vite";
import { packageRoot } from "../../../mesh/process/identity.js";
import { cleanUp, type Owner, WHOLE_FILE } from "../clean-up.js";
import { toolPath } from "../tools.js";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The folder of the page: what has been built for the tests, else one of its own, which is removed in the end. */
export async function buildPage(t: Owner = WHOLE_FILE): Promise<string> {
  if (process.env.TEST_BUILT_DIST === "1") return join(packageRoot(), "dist", "page");
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-page-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  const configFile = join(packageRoot(), "services", "meter", "page", "vite.config.ts");
  await build({ configFile, logLevel: "silent", build: { outDir: folder } });
  return folder;
}

/** Starts Chromium, headless. */
export async function startBrowser(t: Owner = WHOLE_FILE): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: toolPath("chromium"), headless: true, args: ARGS });
  cleanUp(t, () => browser.close());
  return browser;
}

/** How a page is opened. */
export interface OpenOptions {
  readonly colorScheme?: "light" | "dark";
  /** After the origin, such as "#/pool/adder". */
  readonly hash?: string;
  /** Default 1440 × 900. */
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly reducedMotion?: "reduce" | "no-preference";
}

/** A page, and what it did that a calm page does not. */
export class WatchedPage {
  /** Messages of the console and uncaught errors, those of a broken connection left out. */
  readonly complaints: string[] = [];
  /** URLs of another origin. */
  readonly foreign: string[] = [];
  readonly #meterUrl: string;

  constructor(
    readonly page: Page,
    meterUrl: string,
  ) {
    this.#meterUrl = meterUrl;
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      // The browser writes down that a job was not found.
      if (message.location().url.endsWith("/poolmesh.v1.JobService/GetJob")) return;
      if (!message.text().includes("net::ERR_")) this.complaints.push(message.text());
    });
    page.on("dialog", (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(this.#meterUrl) && !url.startsWith("data:")) this.foreign.push(url);
    });
  }

  /** A worker's row. */
  row(worker: string): Locator {
    return this.page.getByRole("row").filter({ has: this.page.getByRole("rowheader", { name: worker, exact: false }) });
  }

  /** Waits until a worker's row holds this text. */
  async rowSays(worker: string, text: string | RegExp): Promise<void> {
    await this.row(worker).filter({ hasText: text }).first().waitFor();
  }

  /** Waits until a worker's row is in this state. */
  async rowIs(worker: string, state: string): Promise<void> {
    await this.row(worker)
      .and(this.page.locator(`[data-state=${state}]`))
      .first()
      .waitFor();
  }

  /** Waits until the head of the page says this of the connection. */
  async connectionSays(text: string | RegExp): Promise<void> {
    await this.page.locator("#connection").filter({ hasText: text }).waitFor();
  }
}

/** Opens the page of a meter. */
export async function openPage(
  t: Owner,
  browser: Browser,
  meterUrl: string,
  options: OpenOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage({
    colorScheme: options.colorScheme ?? "light",
    viewport: options.viewport ?? { width: 1_440, height: 900 },
    reducedMotion: options.reducedMotion ?? "no-preference",
    // Certificates of tests are signed by a CA that no browser knows.
    ignoreHTTPSErrors: true,
  });
  cleanUp(t, () => page.close());
  page.setDefaultTimeout(20_000);
  const watched = new WatchedPage(page, meterUrl);
  await page.goto(`${meterUrl}/${options.hash ?? ""}`);
  return watched;
}
