/** What happens when brokers, links or meters fail, and when everything does: F27 to F81, and beyond the list. */
import { leakGuard } from "../support/leak-guard.js";
import { rowsAsTests } from "./rows-as-tests.js";

leakGuard();
rowsAsTests(({ id, lane }) => id >= "F27" && id < "X11" && lane !== true);
