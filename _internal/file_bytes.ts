/**
 * Files and Blobs as values: their bytes are read asynchronously and encoded synchronously, so they are read
 * before a value is encoded and kept beside it.
 *
 * @module
 */

const known = new WeakMap<Blob, Uint8Array>();

/** The bytes of a file that was read; undefined for another. */
export function bytesOf(file: Blob): Uint8Array | undefined {
  return known.get(file);
}

/** A file as it travels. */
export interface FileParts {
  /** File name; empty for a Blob. */
  readonly name: string;
  /** Media type. */
  readonly type: string;
  /** Content. */
  readonly bytes: Uint8Array;
}

/**
 * Name, type and bytes of a file that was read, or of a plain object of the three; `refuse` is told what
 * it should have been.
 */
export function filePartsOf(value: unknown, refuse: (expected: string) => never): FileParts {
  if (typeof value !== "object" || value === null) refuse("a file");
  const part = value as Partial<FileParts>;
  const bytes = value instanceof Blob ? bytesOf(value) : part.bytes;
  if (bytes === undefined) refuse("a file whose bytes were read");
  return { name: part.name ?? "", type: part.type ?? "", bytes };
}

/** The File of its parts. */
export function toFile({ name, type, bytes }: FileParts): File {
  return new File([bytes as BlobPart], name, { type });
}

/** The Blob of its parts; it has no name. */
export function toBlob({ type, bytes }: FileParts): Blob {
  return new Blob([bytes as BlobPart], { type });
}

/** Reads all files within `value`: in arrays, maps, sets and own properties, however deep. */
export async function readFiles(value: unknown): Promise<void> {
  const seen = new Set<unknown>();
  const files: Blob[] = [];
  const left: unknown[] = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next !== "object" || next === null || ArrayBuffer.isView(next) || seen.has(next)) {
      continue;
    }
    seen.add(next);
    if (next instanceof Blob) files.push(next);
    else if (next instanceof Map) { for (const entry of next) left.push(...entry); }
    else for (const item of next instanceof Set ? next : Object.values(next)) left.push(item);
  }
  await Promise.all(files.map(async (file) => {
    if (!known.has(file)) known.set(file, new Uint8Array(await file.arrayBuffer()));
  }));
}
