/** What happens to limits, chains and large payloads when managers, brokers and links fail: F82 to F89. */
import { leakGuard } from "../support/leak-guard.js";
import { rowsAsTests } from "./rows-as-tests.js";

leakGuard();
rowsAsTests(({ lane }) => lane === true);
