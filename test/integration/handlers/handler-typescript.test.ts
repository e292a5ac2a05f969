/** A TypeScript handler is loaded with the settings of its own project, wherever the worker was started. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

/** Needs `paths` and decorators as the settings in its project's folder say. */
const HANDLER = `
import { twice } from "~/twice";
enum Kind { Number = "number" }
function noted(_target: unknown, _key: string, descriptor: PropertyDescriptor): void {
  const run = descriptor.value;
  descriptor.value = function (job: { payload: unknown }) { return [Kind.Number, run.call(this, job)]; };
}
class Doubler {
  by = 2;
  @noted run(job: { payload: number }): number { return twice(job.payload) * (this.by / 2); }
}
export default new Doubler();
`;

/** Decorators of the standard, which `experimentalDecorators` would call otherwise. */
const BARE = `
function noted(_run: unknown, context: { kind: string }) { seen = context.kind; }
let seen = "";
class Noting { @noted run(): string { return seen; } }
export default new Noting();
`;

const SETTINGS = JSON.stringify({
  compilerOptions: { experimentalDecorators: true, paths: { "~/*": ["./lib/*"] } },
});

for (const isolation of ["thread", "process"] as const) {
  describe(`handler typescript: ${isolation}`, () => {
    for (const type of ["module", "commonjs"]) {
      test(`the nearest tsconfig.json above the handler counts (${type})`, async (t) => {
        const folder = new HandlerFolder(t);
        folder.write("project/package.json", JSON.stringify({ type }));
        folder.write("project/tsconfig.json", SETTINGS);
        folder.write("project/lib/twice.ts", "export const twice = (n: number): number => n * 2;");
        const handlerFile = folder.write("project/src/handler.ts", HANDLER);
        const { caller } = await startWorker(t, broker, { handlerFile, isolation });
        assert.equal((await caller.send("21", { jobId: "a" }).outcome()).text, '["number",42]');
      });
    }

    test("a handler without settings above it is loaded without those of the working directory", async (t) => {
      const folder = new HandlerFolder(t);
      folder.write("elsewhere/tsconfig.json", SETTINGS);
      const handlerFile = folder.write("here/handler.ts", BARE);
      const before = process.cwd();
      process.chdir(join(folder.path, "elsewhere"));
      t.after(() => process.chdir(before));
      const { caller } = await startWorker(t, broker, { handlerFile, isolation });
      assert.equal((await caller.send("21", { jobId: "a" }).outcome()).text, '"method"');
    });

    test("a file that does not parse, or whose settings do not, is refused with its place", async (t) => {
      const folder = new HandlerFolder(t);
      const options = { isolation };
      const bad = folder.write("bad.ts", "export const run = (: number) => 1;");
      await assert.rejects(startWorker(t, broker, { ...options, handlerFile: bad }), /cannot load [\s\S]*bad\.ts:1:/);
      const handlerFile = folder.write("settings/handler.ts", "export const run = () => 1;");
      folder.write("settings/tsconfig.json", '{ "extends": "./missing.json" }');
      await assert.rejects(startWorker(t, broker, { ...options, handlerFile }), /cannot load .*missing\.json/);
      folder.write("broken.mjs", "export const a = 1;\n\nexport const b = a a;");
      for (const [name, text, place] of [
        ["bad.mjs", "export const run = () =>\n  1 2;", /bad\.mjs:2\)$/],
        ["imports.mjs", 'import "./broken.mjs";\nexport const run = () => 1;', /broken\.mjs:3\)$/],
        ["later.mjs", 'await import("./broken.mjs");\nexport const run = () => 1;', /broken\.mjs:3\)$/],
        ["deep.mjs", "const x = await import(`./later.mjs`);\nexport const run = () => x;", /broken\.mjs:3\)$/],
        ["bad.cjs", "exports.run = () =>\n  1 2;", /bad\.cjs:2\)$/],
      ] as const) {
        const started = startWorker(t, broker, { ...options, handlerFile: folder.write(name, text) });
        const { message } = await started.then(
          () => assert.fail("it was loaded"),
          (error: Error) => error,
        );
        assert.match(message, /cannot load .*: (Unexpected|Invalid)/);
        assert.match(message, place);
      }
      const throwing = folder.write("throwing.ts", '\n\nthrow new Error("at once");');
      await assert.rejects(
        startWorker(t, broker, { ...options, handlerFile: throwing }),
        /cannot load .*: at once \(at .*throwing\.ts:3:7\)/,
      );
    });
  });
}
