/** A canary on every subject: hears what the broker carries beside what a mesh says of its own accord. */
import { SERVICE_NAMES, servicePing } from "../../../mesh/wire/subjects.js";
import { connectBus } from "../broker.js";
import type { Owner } from "../clean-up.js";
import type { Mesh } from "../mesh.js";

/** Listens from now on; the function gives the subjects heard so far, but for those of a mesh that serves `pool`. */
export async function startCanary(t: Owner, mesh: Mesh, pool: string): Promise<() => Promise<string[]>> {
  const own = new RegExp(`^pool\\.${pool}\\.(heartbeat\\.w1|manager\\.[\\w-]+|control)$|^_INBOX\\.|^\\$SRV\\.`);
  // A manager asks every 15 s which streams there are, and the broker tells of each question.
  const streamCheck = ["$JS.API.STREAM.NAMES", "$JS.EVENT.ADVISORY.API"];
  const ears = await connectBus(t, mesh.broker);
  const heard: string[] = [];
  ears.subscribe(">", (msg) => {
    // A manager asks a worker of its own accord how far away it is.
    const isProbe = msg.subject === `pool.${pool}.control.w1` && msg.reply?.startsWith("_INBOX.");
    if (!isProbe && !own.test(msg.subject) && !streamCheck.includes(msg.subject)) heard.push(msg.subject);
  });
  await ears.flush();
  return async () => {
    // The manager's answer comes after all that its connection has sent before.
    await ears.nc.request(servicePing(SERVICE_NAMES.manager, mesh.manager.id), "", { timeout: 5_000 });
    await ears.flush();
    return heard;
  };
}
