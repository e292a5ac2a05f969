/** Payloads come back to the byte on every door, and what is too large is refused before it is published. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { bytes } from "../../../mesh/job/codec.js";
import { HEADER_RESERVE_BYTES } from "../../../mesh/wire/headers.js";
import { MAX_NAME_LENGTH } from "../../../mesh/wire/subjects.js";
import { connectBus } from "../../support/broker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { type Door, openDoors, poolErrorOf } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Mesh, startMesh } from "../../support/mesh.js";
import { seededRandom } from "../../support/random.js";

const POOL = "echo";
const SIZES = [0, 1, 255, 256, 65_535];
/** The longest name there is: its headers take the most room. */
const WORKER = "w".repeat(MAX_NAME_LENGTH);

leakGuard();
byteTests(await prepare(1024 * 1024));
byteTests(await prepare(8 * 1024));

/** A mesh with an echo pool, all its doors, and the ids of the jobs that workers were offered. */
interface Rig {
  readonly mesh: Mesh;
  readonly limit: number;
  readonly doors: readonly Door[];
  readonly offered: () => Promise<readonly string[]>;
}

async function prepare(maxPayloadBytes: number): Promise<Rig> {
  const mesh = await startMesh(WHOLE_FILE, { broker: { maxPayloadBytes } });
  await mesh.addWorker({ pool: POOL, id: WORKER, slots: 4, codec: bytes, run: (job) => job.payload });
  await mesh.untilCapacity(POOL, 4);
  const bus = await connectBus(WHOLE_FILE, mesh.broker);
  const ids: string[] = [];
  for (const subject of [`pool.${POOL}.job`, `pool.${POOL}.job.*`]) {
    bus.subscribe(subject, (msg) => ids.push(msg.headers?.get("Pool-Job-Id") ?? ""));
  }
  const offered = async (): Promise<readonly string[]> => {
    await bus.flush();
    return ids;
  };
  return {
    mesh,
    limit: maxPayloadBytes - HEADER_RESERVE_BYTES,
    doors: await openDoors(WHOLE_FILE, mesh, POOL),
    offered,
  };
}

function byteTests({ mesh, limit, doors, offered }: Rig): void {
  for (const door of doors) {
    test(`${door.name}: every size up to ${limit} bytes comes back to the byte`, async () => {
      for (const size of [...SIZES.filter((each) => each < limit - 1), limit - 1, limit]) await roundTrip(door, size);
    });

    test(`${door.name}: one byte over ${limit} is payload_too_large and no worker hears of it`, async () => {
      const id = `over-${doors.indexOf(door)}`;
      const error = await poolErrorOf(door.submit(noise(limit + 1), { id }));
      assert.deepEqual([error.reason, error.field, error.retryable], ["payload_too_large", "payload", false]);
      assert.ok(!(await offered()).includes(id));
    });
  }

  test(`text of ${limit} bytes comes back through JSON, whatever its characters are`, async () => {
    for (const character of ["a", "\u0001", '"', "\\"]) {
      const text = character.repeat(limit);
      const body = JSON.stringify({ pool: POOL, text });
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`, {
        method: "POST",
        headers,
        body,
      });
      const answer = (await response.json()) as { text?: string; message?: string };
      assert.equal(answer.message, undefined);
      assert.ok(answer.text === text, `${limit} times ${JSON.stringify(character)}`);
    }
  });
}

async function roundTrip(door: Door, size: number): Promise<void> {
  const sent = noise(size);
  const id = `${door.name.replaceAll(/[^A-Za-z0-9]/g, "-")}-${size}-`.padEnd(MAX_NAME_LENGTH, "j");
  const got = await door.submit(sent, { id });
  assert.equal(got.length, size, `${size} bytes`);
  assert.equal(sha256(got), sha256(sent), `${size} bytes`);
}

function noise(size: number): Uint8Array {
  const random = seededRandom(size);
  return Uint8Array.from({ length: size }, () => Math.floor(random() * 256));
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
