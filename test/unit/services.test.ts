/** The unit tests of the services, in one process. */
import { OF_SERVICES } from "./folders.js";
import { importTests } from "./import-tests.js";

await importTests(OF_SERVICES);
