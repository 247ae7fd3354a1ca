/**
 * The built front end, from `dist/public`.
 *
 * Only regular files inside the folder are ever answered: the path is decoded once, then checked by
 * segment, and the real path (links resolved) must still lie inside. Anything else is "not mine" (null),
 * which the caller passes on to the app.
 *
 * @module
 */
import { extname, join, sep } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".avif": "image/avif",
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".otf": "font/otf",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ttf": "font/ttf",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webm": "video/webm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
  ".xml": "application/xml",
};

/** Changes an HTML page on its way out (the reload script of `dev`). */
export type HtmlRewrite = (html: string) => string;

/** Answers from the folder, or null where the request is not for a file in it. */
export async function serveFile(
  folder: string,
  request: Request,
  rewrite?: HtmlRewrite,
): Promise<Response | null> {
  if (request.method !== "GET" && request.method !== "HEAD") return null;
  const segments = safeSegments(new URL(request.url).pathname);
  if (segments === null) return null;
  const path = await insideFile(folder, segments);
  if (path === null) return null;
  return await respond(path, request, rewrite);
}

/** The same; a path of no file whose last segment has no ending is a page of a single-page app. */
export async function servePage(
  folder: string,
  request: Request,
  rewrite?: HtmlRewrite,
): Promise<Response | null> {
  const { pathname } = new URL(request.url);
  const file = await serveFile(folder, request, rewrite);
  if (file !== null || extname(pathname) !== "" || safeSegments(pathname) === null) return file;
  return await serveFile(folder, new Request(new URL("/", request.url), request), rewrite);
}

/** Decoded path segments, or null for a path that no file of ours can have. */
export function safeSegments(pathname: string): string[] | null {
  let decoded: string;
  try {
    decoded = decodeURIComponent(pathname);
  } catch {
    return null;
  }
  if (/[\\\0]/.test(decoded)) return null;
  const segments = decoded.split("/").filter((segment) => segment !== "");
  const hidden = (segment: string): boolean => segment.startsWith(".") && segment !== ".well-known";
  return segments.some((segment) => hidden(segment) || segment.includes(":")) ? null : segments;
}

async function insideFile(folder: string, segments: readonly string[]): Promise<string | null> {
  try {
    const base = await Deno.realPath(folder);
    let path = await Deno.realPath(join(base, ...segments));
    if ((await Deno.stat(path)).isDirectory) path = await Deno.realPath(join(path, "index.html"));
    if (!path.startsWith(base + sep)) return null;
    return (await Deno.stat(path)).isFile ? path : null;
  } catch {
    return null;
  }
}

async function respond(
  path: string,
  request: Request,
  rewrite?: HtmlRewrite,
): Promise<Response | null> {
  const extension = extname(path).toLowerCase();
  const headers = new Headers({
    "content-type": TYPES[extension] ?? "application/octet-stream",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  });
  if (extension === ".html" && rewrite !== undefined) {
    const html = rewrite(await Deno.readTextFile(path));
    return new Response(request.method === "HEAD" ? null : html, { headers });
  }
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch {
    return null;
  }
  const info = await file.stat();
  const tag = `W/"${info.size.toString(36)}-${(info.mtime?.getTime() ?? 0).toString(36)}"`;
  headers.set("etag", tag);
  if (request.headers.get("if-none-match") === tag) {
    file.close();
    return new Response(null, { status: 304, headers });
  }
  headers.set("content-length", `${info.size}`);
  if (request.method === "HEAD") {
    file.close();
    return new Response(null, { headers });
  }
  return new Response(file.readable, { headers });
}
