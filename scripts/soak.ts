/**
 * The random mix of faults for as long as asked: `npm run test:soak -- --seconds 600 --seed 7`.
 *
 * Prints the seed, what was done, and what became of every job; exits with 1
 * when an invariant is broken. With --brokers 3 it runs on a cluster, with --lane
 * jobs of the durable lane are part of the load.
 */
import { copyFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { checkHistory } from "../test/faults/invariants.js";
import { runMix } from "../test/faults/mix.js";
import { cleanUpNow, ownOwner } from "../test/faults/rig/owner.js";
import { Rig } from "../test/faults/rig/rig.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "4" },
    brokers: { type: "string", default: "1" },
    lane: { type: "boolean", default: false },
    history: { type: "string" },
  },
});

async function main(): Promise<number> {
  const [seed, seconds, workers] = [Number(values.seed), Number(values.seconds), Number(values.workers)];
  if (![seed, seconds, workers].every(Number.isFinite) || !["1", "3"].includes(values.brokers)) {
    console.error("soak: --seconds, --seed and --workers are numbers, --brokers is 1 or 3");
    return 2;
  }
  console.log(
    `seed ${seed}, ${seconds} s, ${workers} workers, brokers: ${values.brokers}${values.lane ? ", durable lane" : ""}`,
  );
  const owner = ownOwner();
  try {
    const rig = await Rig.start(owner, { brokers: values.brokers === "3" ? 3 : 1, quick: false, lane: values.lane });
    const { faults, queue, outcomes, lane } = await runMix(rig, { seed, seconds, workers, lane: values.lane });
    await rig.rest(20_000);
    await rig.end();
    if (values.history !== undefined) await copyFile(rig.history.path, values.history);
    print("faults", faults);
    print("outcomes", outcomes);
    print("total queue", { ...queue });
    if (lane !== undefined) print("durable lane", { ...lane });
    const { violations, checked } = checkHistory(rig.history.read());
    for (const { invariant, what } of violations) console.log(`BROKEN ${invariant}: ${what}`);
    console.log(`${violations.length} broken of ${checked.join(" ")}; repeat with --seed ${seed}`);
    return violations.length + queue.lost + queue.unexpected === 0 ? 0 : 1;
  } finally {
    await cleanUpNow(owner);
  }
}

function print(title: string, counts: Readonly<Record<string, number>>): void {
  const text = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(`${title}: ${text.join(", ")}`);
}

process.exitCode = await main();
