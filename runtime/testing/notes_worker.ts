/**
 * The notes app as a Worker, for tests in real workerd.
 *
 * @module
 */
import { createWorker, type KontractWorker } from "../workers/mod.ts";
import { NOTES_APP } from "./notes_app.ts";

export { ChangeHubDO, DbPoolDO, KvcDO, SessionDO } from "../workers/mod.ts";

const worker: KontractWorker = createWorker(NOTES_APP, {
  // Tests wait for it to pass.
  bodyPace: { bytes: 65_536, milliseconds: 5000 },
});
export default worker;
