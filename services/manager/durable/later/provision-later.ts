/**
 * Makes the stream of a pool's jobs for later, when the first such job is enqueued.
 *
 * Decided here: whether the broker can keep jobs for later. What counts is the
 * stream's setting as the broker gives it back: an old one takes the setting and ignores
 * it. A broker that is certainly too old is not asked, so that no useless stream is left there.
 */

import { isTooOld, NEEDS, unsupported } from "../../../../mesh/durable/broker-needs.js";
import { dueConsumer, laterStream } from "../../../../mesh/durable/streams.js";
import { PoolError } from "../../../../mesh/errors.js";
import { ensureConsumer, ensureStream, type Provisioning } from "../provision.js";

/** @param version of the broker that this manager is connected to. @throws PoolError `invalid_argument` */
export async function provisionLater(parts: Provisioning, pool: string, version: string | undefined): Promise<void> {
  const settings = laterStream(parts.names, pool, parts.replicas);
  const isThere = (await parts.store.streamInfo(settings.name)) !== undefined;
  if (!isThere && isTooOld(version, NEEDS.schedules)) throw unsupported("runAt", NEEDS.schedules, version);
  const { allow_msg_schedules: hasSchedules } = await ensureStream(parts, settings);
  if (hasSchedules !== true) {
    const message = `runAt: the stream ${settings.name} does not publish messages later (allow_msg_schedules is not on); delete it, once the broker is nats-server 2.12 or newer`;
    throw new PoolError("invalid_argument", message, { field: "runAt" });
  }
  await ensureConsumer(parts, settings.name, dueConsumer(parts.names, pool));
}
