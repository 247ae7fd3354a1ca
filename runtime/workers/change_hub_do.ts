/**
 * `ChangeHubDO`: woken after each commit, tells whoever follows changes.
 *
 * @module
 */
import { ChangeBell } from "../change_bell.ts";
import { answerCall } from "./object_call.ts";

/** Longest wait that is granted, in milliseconds. */
const MAX_WAIT_MS = 60_000;

/** The hub of a deployment. */
export class ChangeHubDO {
  readonly #bell = new ChangeBell();

  /** One call: `wake`, or `next` with the longest wait in milliseconds. */
  fetch(request: Request): Promise<Response> {
    return answerCall(request, {
      wake: () => this.#bell.wake(),
      next: (timeoutMs) =>
        this.#bell.next(Math.min(Number(timeoutMs) || 0, MAX_WAIT_MS), request.signal),
    });
  }
}
