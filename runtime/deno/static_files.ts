/**
 * The front end's files. Nothing outside the folder is ever read: hidden names, `..` and links that
 * lead out are as good as missing.
 *
 * @module
 */

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".avif": "image/avif",
  ".ico": "image/x-icon",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
  ".xml": "application/xml; charset=utf-8",
  ".wasm": "application/wasm",
  ".pdf": "application/pdf",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
};

const SEPARATOR = Deno.build.os === "windows" ? "\\" : "/";

/** Answers GET and HEAD from a folder; null where there is no such file. */
export async function serveStatic(
  root: URL | string,
  request: Request,
): Promise<Response | null> {
  if (request.method !== "GET" && request.method !== "HEAD") return null;
  const path = safePath(new URL(request.url).pathname);
  if (path === null) return null;
  const base = await realPath(root);
  if (base === null) return null;
  const file = await find(base, path) ??
    // Pages of a single-page app have no extension.
    (extname(path) === "" ? await find(base, "index.html") : null);
  return file === null ? null : await send(file, request);
}

function safePath(pathname: string): string | null {
  let path: string;
  try {
    path = decodeURIComponent(pathname);
  } catch {
    return null;
  }
  const parts = path.split("/").filter((part) => part !== "");
  const hidden = parts.some((part) => part.startsWith(".") || /[\\\0:]/.test(part));
  if (hidden) return null;
  return path.endsWith("/") ? [...parts, "index.html"].join("/") : parts.join("/");
}

async function realPath(path: URL | string): Promise<string | null> {
  try {
    return await Deno.realPath(path);
  } catch {
    return null;
  }
}

async function find(base: string, path: string): Promise<string | null> {
  const real = await realPath(`${base}/${path}`);
  if (real === null || !real.startsWith(base + SEPARATOR)) return null;
  const info = await Deno.stat(real).catch(() => null);
  return info?.isFile === true ? real : null;
}

/** The ending of a file's name with its dot, or nothing. */
function extname(path: string): string {
  return /[^/\\](\.[^./\\]*)$/.exec(path)?.[1] ?? "";
}

async function send(path: string, request: Request): Promise<Response> {
  const file = await Deno.open(path, { read: true });
  const info = await file.stat();
  const etag = `W/"${info.size.toString(36)}-${(info.mtime?.getTime() ?? 0).toString(36)}"`;
  const headers = {
    "content-type": TYPES[extname(path).toLowerCase()] ?? "application/octet-stream",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    etag,
  };
  if (request.headers.get("if-none-match") === etag) {
    file.close();
    return new Response(null, { status: 304, headers });
  }
  const length = { ...headers, "content-length": String(info.size) };
  if (request.method === "HEAD") {
    file.close();
    return new Response(null, { headers: length });
  }
  return new Response(file.readable, { headers: length });
}
