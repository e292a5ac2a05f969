/** In which order a worker answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Msg } from "nats";
import type { Bus } from "../../../mesh/link/bus.js";
import { Ages } from "../../../mesh/wire/ages.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import { Control, type ControlActions } from "../../../services/worker/control.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

test("control - what takes no time is answered before the worker reads its next message", () => {
  const published: string[] = [];
  const bus = {
    runtime: new ManualRuntime(),
    mayAnswer: () => true,
    publish: (subject: string) => void published.push(subject),
  } as unknown as Bus;
  const actions = { resend: () => [false], snapshot: () => ({ worker: "w" }) } as unknown as ControlActions;
  const control = new Control(bus, "w", actions, new Ages());
  const data = encodeControl("owed", { jobIds: ["j"], nonces: [""] });
  control.receive({ data, reply: "_INBOX.a.1", headers: undefined } as unknown as Msg);
  assert.deepEqual(published, ["_INBOX.a.1"]);
});
