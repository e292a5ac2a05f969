/** Promises where ids are used again, messages are late, clocks are off and strangers answer: X11 on. */
import { leakGuard } from "../support/leak-guard.js";
import { rowsAsTests } from "./rows-as-tests.js";

leakGuard();
rowsAsTests(({ id }) => id >= "X11");
