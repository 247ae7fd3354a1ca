/**
 * A text that is made once and kept in a file of mode 600: a secret, a password.
 *
 * The file appears whole or not at all, so whoever finds it has all of it, and two that make it at the
 * same moment agree on one.
 *
 * @module
 */

/** What the file says, trimmed; where it is missing, it is written with what `make` gives. */
export async function keptText(path: string, make: () => string): Promise<string> {
  const found = await Deno.readTextFile(path).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (found !== null) return found.trim();
  const partial = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(partial, `${make()}\n`, { createNew: true, mode: 0o600 });
  try {
    await Deno.link(partial, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    await Deno.remove(partial);
  }
  return (await Deno.readTextFile(path)).trim();
}
