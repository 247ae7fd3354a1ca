/**
 * The keys of a gateway whose client pins a root: asks the gateway for its signed set, and remembers the
 * highest serial, so that a set which was replaced is never believed again.
 *
 * @module
 */
import { KontractError } from "../_internal/errors.ts";
import type { Pin } from "./client_handshake.ts";
import type { Symmetric } from "./crypto/provider.ts";
import { MAX_KEY_SET, pinsOf, verifyKeySet } from "./key_set.ts";
import { KEY_SET_PATH } from "./paths.ts";
import type { readBody } from "./read_body.ts";
import type { TransportOptions } from "./transport.ts";

const TIMEOUT_MS = 15_000;

// Of this process or page, where the options give no memory that lasts.
const seen = new Map<string, number>();

interface KeySetOptions extends TransportOptions {
  /** Ends the asking. */
  readonly closed: AbortSignal;
}

/**
 * The keys whose time it is. `read` is handed in by the caller, which has it: imported here it would be
 * one more chunk for every page. Throws `NETWORK` where the gateway gives nothing, `RAY_SERVER_KEY` where it is not
 * to be believed.
 */
export async function rootPins(
  symmetric: Symmetric,
  root: string,
  { url, serials, closed, fetch: send = fetch }: KeySetOptions,
  read: typeof readBody,
): Promise<readonly Pin[]> {
  const set = await verifyKeySet(root, await fetchSet(url, closed, send, read));
  const memory = serials ?? {
    get: (pin: string) => seen.get(pin) ?? 0,
    set: (pin: string, serial: number) => void seen.set(pin, serial),
  };
  const leastSerial = Math.max(await memory.get(root), seen.get(root) ?? 0);
  const pins = pinsOf(symmetric, set, { now: Date.now(), leastSerial });
  seen.set(root, set.serial);
  if (set.serial > leastSerial) await memory.set(root, set.serial);
  return pins;
}

async function fetchSet(
  url: string,
  closed: AbortSignal,
  send: typeof fetch,
  read: typeof readBody,
): Promise<string> {
  try {
    const response = await send(new URL(KEY_SET_PATH, url), {
      redirect: "manual",
      signal: AbortSignal.any([closed, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (response.status === 200) {
      return new TextDecoder().decode(await read(response, MAX_KEY_SET));
    }
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  } catch (cause) {
    throw new KontractError("NETWORK", "The gateway gives no key set.", { cause });
  }
}
