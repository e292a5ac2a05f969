/** What happens when workers, managers or callers fail: F01 to F25. */
import { leakGuard } from "../support/leak-guard.js";
import { rowsAsTests } from "./rows-as-tests.js";

leakGuard();
rowsAsTests(({ id }) => id < "F27");
