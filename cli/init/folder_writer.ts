/**
 * Writes files into a folder, all or none: after a failure everything is as it was.
 *
 * A file that is there is never overwritten, not even one that somebody else makes at the same moment;
 * {@link FolderWriter.replace} is for the few whose text was completed.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { KontractError } from "../../_internal/errors.ts";

/** One piece of work in one folder. */
export class FolderWriter {
  readonly #root: string;
  /** What undoes each step. */
  readonly #undo: (() => Promise<void>)[] = [];

  /** Nothing is written yet. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Does the work; undoes what it wrote where it fails. */
  static async transaction(
    root: string,
    work: (writer: FolderWriter) => Promise<void>,
  ): Promise<void> {
    const writer = new FolderWriter(root);
    try {
      await work(writer);
    } catch (error) {
      for (const undo of writer.#undo.reverse()) await undo().catch(() => {});
      throw error;
    }
  }

  /** Makes a file and the folders it needs. */
  async create(path: string, text: string): Promise<void> {
    const full = join(this.#root, path);
    await explained(path, async () => {
      await this.#makeFolder(dirname(full));
      await Deno.writeTextFile(full, text, { createNew: true });
      this.#undo.push(() => Deno.remove(full));
    });
  }

  /** Gives a file another text, in one step. */
  async replace(path: string, text: string): Promise<void> {
    await explained(path, async () => {
      const full = await Deno.realPath(join(this.#root, path));
      const before = await Deno.readFile(full);
      const next = `${full}.${crypto.randomUUID()}`;
      try {
        await Deno.writeTextFile(next, text, { createNew: true });
        const { mode } = await Deno.stat(full);
        if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(next, mode & 0o777);
        await Deno.rename(next, full);
      } catch (error) {
        await Deno.remove(next).catch(() => {});
        throw error;
      }
      this.#undo.push(() => Deno.writeFile(full, before));
    });
  }

  async #makeFolder(folder: string): Promise<void> {
    try {
      await Deno.mkdir(folder);
      this.#undo.push(() => Deno.remove(folder));
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return;
      if (!(error instanceof Deno.errors.NotFound) || dirname(folder) === folder) throw error;
      await this.#makeFolder(dirname(folder));
      await this.#makeFolder(folder);
    }
  }
}

async function explained(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const why = cause instanceof Deno.errors.AlreadyExists
      ? "there is something of that name already"
      : cause instanceof Error
      ? cause.message
      : "unknown reason";
    throw new KontractError("CONFIG", `'${path}' cannot be written: ${why}. Nothing was changed.`, {
      cause,
    });
  }
}
