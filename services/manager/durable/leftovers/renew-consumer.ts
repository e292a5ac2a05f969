/**
 * Makes a consumer anew that does not deliver what its stream has.
 *
 * A broker that loses its power may come back with newer consumers than streams: a consumer then takes the sequences that
 * the stream gives again for ones that it has delivered. nats-server 2.9 leaves it so. A new consumer delivers all that the
 * stream has; its managers find out what of it has ended, and who holds what (docs/adr/0085, docs/adr/0086).
 */
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { ConsumerSettings } from "../../../../mesh/durable/streams.js";

/** Whether it has delivered more than the stream ever had. @param stream as it was read after the consumer */
export function isAhead(
  { delivered }: Pick<ConsumerInfo, "delivered">,
  { state }: { readonly state: Pick<StreamInfo["state"], "last_seq"> },
): boolean {
  return delivered.stream_seq > state.last_seq;
}

/** @param found the consumer as it was; one that another manager has made anew since stays. @throws PoolError */
export async function renewConsumer(
  store: Pick<LaneStore, "consumerInfo" | "deleteConsumer" | "addConsumer">,
  found: Pick<ConsumerInfo, "stream_name" | "name" | "created" | "config">,
): Promise<void> {
  const { stream_name: stream, name } = found;
  const now = await store.consumerInfo(stream, name);
  if (now !== undefined && now.created !== found.created) return;
  if (now !== undefined) await store.deleteConsumer(stream, name);
  // An operator may have set it on purpose as it was.
  await store.addConsumer(stream, found.config as ConsumerSettings);
}
