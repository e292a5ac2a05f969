/** What is asked at `pool.P.cron`, and its answer as JSON: the headers say what is wanted, the payload is that of the jobs. */
import { decodeDurableJob } from "../../../../mesh/durable/job.js";
import { type Cron, cronFields, decodeCronTime, toShown } from "../../../../mesh/durable/later/cron.js";
import { PoolError } from "../../../../mesh/errors.js";
import { json } from "../../../../mesh/job/codec.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";
import { decodeJobHeaders, HEADER } from "../../../../mesh/wire/headers.js";
import type { HeaderReader } from "../../../../mesh/wire/wire-headers.js";
import type { LaterLanes } from "./later-lanes.js";

/** What it works with. */
export type CronDoorParts = Pick<LaterLanes, "setCron" | "removeCron" | "listCrons">;

/** @throws PoolError */
export async function answerCron(
  crons: CronDoorParts,
  pool: string,
  headers: HeaderReader | undefined,
  payload: Uint8Array,
  inboxPrefix: string,
): Promise<Uint8Array> {
  const wanted = headers?.get(HEADER.cron) ?? "";
  const name = headers?.get(HEADER.cronName) ?? "";
  switch (wanted) {
    case "":
    case "list":
      return json.encode((await crons.listCrons(pool)).map((cron) => cronFields(toShown(cron))));
    case "remove":
      await crons.removeCron(pool, name);
      return json.encode({ name, removed: true });
    case "set": {
      const { priority = "normal" } = decodeJobHeaders(headers);
      const job = decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, inboxPrefix);
      const cron: Cron = { ...decodeCronTime(headers), priority, job, payload };
      return json.encode({ name, change: await crons.setCron(pool, cron) });
    }
  }
  throw new PoolError("invalid_argument", `${HEADER.cron}: use "set", "remove" or "list"`, { field: HEADER.cron });
}
