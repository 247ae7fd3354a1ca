/**
 * Published test vectors, read from a folder beside the checkout (`../shared/vectors`, or
 * `KONTRACT_VECTORS`): data of others, not copied into this repository. For tests only.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url);

function folder(): URL {
  const override = Deno.env.get("KONTRACT_VECTORS");
  if (override === undefined) return new URL("../shared/vectors/", ROOT);
  return new URL(
    override.endsWith("/") ? override : `${override}/`,
    new URL(`file://${Deno.cwd()}/`),
  );
}

/** True where the vectors are there; says loudly where they are not. */
export function haveVectors(): boolean {
  try {
    return Deno.statSync(folder()).isDirectory;
  } catch {
    console.error(`
!!! Test vectors are MISSING at ${folder().pathname}: vector tests are IGNORED.
!!! Set KONTRACT_VECTORS to the folder that holds them.`);
    return false;
  }
}

/** One file of vectors; its shape is the caller's claim. */
export function readVectors<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(new URL(name, folder()))) as T;
}

/** Bytes of hexadecimal text. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
