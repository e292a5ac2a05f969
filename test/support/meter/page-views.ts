/** What tests of the page's views share: a browser, a page before a meter without a broker, and fleets to show. */
import type { Browser, Page } from "playwright-core";
import { cleanUp, type Owner } from "../clean-up.js";
import { without } from "../tools.js";
import { buildPage, type OpenOptions, openPage, startBrowser, type WatchedPage } from "./browser-page.js";
import { FakeFleet, type FakePool } from "./fake-fleet.js";
import { FakeLane } from "./fake-lane.js";
import { FakeMeter, type FakeMeterOptions } from "./fake-meter.js";

export const HOSTILE = '<img src=x onerror="alert(1)">';

export type OpenView = (
  t: Owner,
  fleet: FakeFleet,
  hash: string,
  options?: Omit<OpenOptions, "hash"> & { readonly meter?: FakeMeterOptions },
) => Promise<WatchedPage & { readonly meter: FakeMeter }>;

/** Builds the page and starts a browser for a file of tests; `skip` says why where there is none. */
export async function openViews(): Promise<{ skip: false | string; folder: string; open: OpenView }> {
  const skip = without("chromium");
  const folder = skip === false ? await buildPage() : "";
  const browser = skip === false ? await startBrowser() : (undefined as unknown as Browser);
  const open: OpenView = async (t, fleet, hash, { meter: more = {}, ...options } = {}) => {
    const meter = new FakeMeter(fleet, { pageFolder: folder, ...more });
    cleanUp(t, () => meter.stop());
    await meter.start();
    const watched = await openPage(t, browser, meter.url, { hash, ...options });
    return Object.assign(watched, { meter });
  };
  return { skip, folder, open };
}

export const small = (name: string, load = 0.5): FakePool => ({ name, workers: 2, slots: 4, load });
export const billing = () => new FakeFleet([small("billing"), small("mail"), small("render", 1.4)]);
export const lane = () =>
  new FakeLane([
    {
      pool: "billing",
      queued: 1_204,
      held: 12,
      limited: 48,
      retrying: 3,
      oldestMs: 3_720_000,
      dead: ["invoice-7", "invoice-9"],
    },
    { pool: "mail", queued: 0, held: 0, retrying: 0, oldestMs: undefined, dead: [] },
  ]);
export const inList = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Pools" }).getByRole("link").filter({ hasText: name });
