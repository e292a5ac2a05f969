/**
 * The handler of a typed pool: what it gets and what it returns is checked by the pool's schemas.
 *
 * A payload that does not fit never reaches the handler, and no retry helps it.
 */
import { contractsOf, inputError, outputError, type PoolDefinition } from "../../../../mesh/job/pool-definition.js";
import { type Checked, tellPaths } from "../../../../mesh/job/schema.js";
import { type Handler, isThenable, type Job, Refusal } from "../handler.js";
import type { LoadedHandler } from "../loaded-handler.js";

/** A handler with the checks of its pool around it. */
export function typedHandler(handler: LoadedHandler, definition: PoolDefinition): LoadedHandler {
  const { input, output } = contractsOf(definition);
  return {
    ...handler,
    definition,
    codecs: { input: input.codec, output: output.codec },
    run: checkedRun(handler.run, definition),
  };
}

function checkedRun(run: Handler, definition: PoolDefinition): Handler {
  const { input, output } = contractsOf(definition);
  const checkResult = (value: unknown): unknown => {
    const checked = output.write(value);
    return checked instanceof Promise ? checked.then(valueToSend) : valueToSend(checked);
  };
  const valueToSend = (checked: Checked): unknown => {
    if (checked.ok) return checked.value;
    throw new Refusal(outputError(definition, checked.issues), `result: does not fit at ${tellPaths(checked.issues)}`);
  };
  const runChecked = (job: Job, checked: Checked): unknown => {
    if (!checked.ok) {
      const logged = `payload: does not fit at ${tellPaths(checked.issues)}`;
      throw new Refusal(inputError(definition, checked.issues), logged);
    }
    // nobody else has seen this job yet
    (job as { payload: unknown }).payload = checked.value;
    const result = run(job);
    return isThenable(result) ? Promise.resolve(result).then(checkResult) : checkResult(result);
  };
  return (job) => {
    const checked = input.read(job.payload);
    return checked instanceof Promise ? checked.then((each) => runChecked(job, each)) : runChecked(job, checked);
  };
}
