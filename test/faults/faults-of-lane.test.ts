/** What happens to limits, chains, large payloads and batches when managers, brokers and links fail: F82 to F90. */
import { leakGuard } from "../support/leak-guard.js";
import { rowsAsTests } from "./rows-as-tests.js";

leakGuard();
rowsAsTests(({ lane }) => lane === true);
