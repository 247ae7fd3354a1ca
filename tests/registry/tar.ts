/**
 * Reads a POSIX tar archive (ustar, with pax and GNU names for long paths), as `deno publish` sends one.
 *
 * @module
 */

const BLOCK = 512;
const decoder = new TextDecoder();

/** Regular files by path. */
export function readTar(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let longName: string | null = null;
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const size = parseInt(text(header, 124, 12).trim(), 8);
    if (!Number.isSafeInteger(size)) throw new Error(`The tar header at ${at} has no size.`);
    const body = archive.subarray(at + BLOCK, at + BLOCK + size);
    const kind = text(header, 156, 1);
    if (kind === "L") longName = decoder.decode(body).replace(/\0+$/, "");
    else if (kind === "x") longName = paxPath(decoder.decode(body));
    else if (kind === "" || kind === "0") {
      files.set(longName ?? ustarPath(header), body);
      longName = null;
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function text(header: Uint8Array, start: number, length: number): string {
  const bytes = header.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function ustarPath(header: Uint8Array): string {
  const prefix = text(header, 257, 5) === "ustar" ? text(header, 345, 155) : "";
  const name = text(header, 0, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Records are `<length> <key>=<value>\n`. */
function paxPath(records: string): string | null {
  return /^\d+ path=(.*)$/m.exec(records)?.[1] ?? null;
}
