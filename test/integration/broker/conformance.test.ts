/**
 * The model of NATS and real brokers, played the same scripts, show the same.
 *
 * The newest and the oldest nats-server that are found take part; NATS_SERVER names one instead.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { allBinaries, type FoundBinary, findServer } from "../../../broker/find.js";
import { isTooOld } from "../../../mesh/durable/broker-needs.js";
import { ModelStage } from "../../sim/nats/conformance/model-stage.js";
import { play } from "../../sim/nats/conformance/play.js";
import { RealStage } from "../../sim/nats/conformance/real-stage.js";
import { SCRIPTS } from "../../sim/nats/conformance/scripts/all.js";

const SEED = 1;

async function binaries(): Promise<FoundBinary[]> {
  const path = process.env.NATS_SERVER;
  const found = path ? [await findServer({ path })] : await allBinaries("nats-server");
  const versions = found.filter((each): each is FoundBinary => each !== undefined);
  assert.ok(versions.length > 0, "no nats-server is found on this machine");
  const [newest, oldest] = [versions[0] as FoundBinary, versions.at(-1) as FoundBinary];
  return newest.version === oldest.version ? [newest] : [newest, oldest];
}

for (const { path, version } of await binaries()) {
  suite(`the model shows what nats-server ${version} shows`, () => {
    for (const script of SCRIPTS) {
      if (script.since !== undefined && isTooOld(version, { what: script.title, since: script.since })) continue;
      test(script.title, async (t) => {
        const expected = await play(script, new ModelStage(script, SEED));
        const seen = await play(script, await RealStage.start(t, script, path, expected));
        assert.deepEqual(expected, seen, "the model (actual) against the broker (expected)");
      });
    }
  });
}
