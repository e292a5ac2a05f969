/** The option `--then`, which may be repeated: each time one job more follows. */
import { InvalidArgumentError } from "commander";
import { checkThen, readStep, type ThenStep } from "../../mesh/durable/after/then.js";
import { toPoolError } from "../../mesh/errors.js";

/** @throws InvalidArgumentError */
export function addStep(text: string, before: readonly ThenStep[] = []): readonly ThenStep[] {
  try {
    return checkThen([...before, readStep(text)]).slice();
  } catch (thrown) {
    throw new InvalidArgumentError(toPoolError(thrown).message);
  }
}
