/**
 * The notes app as a Worker, for tests in real workerd.
 *
 * @module
 */
import { createWorker, type KontractWorker } from "../workers/mod.ts";
import { NOTES_APP } from "./notes_app.ts";

export { ChangeHubDO, DbPoolDO, KvcDO, SessionDO } from "../workers/mod.ts";

const worker: KontractWorker = createWorker(NOTES_APP);
export default worker;
