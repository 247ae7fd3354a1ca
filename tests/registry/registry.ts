/**
 * A JSR registry on loopback, for tests: `deno publish` publishes to it what it would publish to JSR, and
 * Deno fetches from it with `JSR_URL` as from JSR itself.
 *
 * Serves what JSR serves: `meta.json` with the versions, `<version>_meta.json` with the manifest (sizes
 * and SHA-256 of all files), the exports and the module graph, and the files as `deno publish` sent them,
 * whose bare imports it has rewritten to `npm:` ones. One package with one version is all it holds.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { moduleGraph } from "./module_graph.ts";
import { readTar } from "./tar.ts";

/** A running registry. */
export interface Registry extends AsyncDisposable {
  /** For `JSR_URL`. */
  readonly url: string;
  /** Paths of the published files, `/mod.ts` and so on. */
  readonly files: readonly string[];
  /** Paths that were asked for, in order. */
  readonly requests: readonly string[];
}

interface Version {
  readonly scope: string;
  readonly name: string;
  readonly version: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly metadata: string;
}

/** Starts a registry and publishes the package in `folder` to it. */
export async function publishToLoopback(folder: string): Promise<Registry> {
  let held: Version | null = null;
  const requests: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/api/")) {
        if (request.method !== "POST") return apiAnswer(pathname);
        held = received(pathname, new Uint8Array(await request.arrayBuffer()));
        return Response.json({ id: crypto.randomUUID(), status: "success" });
      }
      requests.push(pathname);
      return held === null ? notFound() : answer(held, pathname);
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  try {
    await publish(folder, url);
  } catch (error) {
    await server.shutdown();
    throw error;
  }
  return {
    url,
    requests,
    files: [...held!.files.keys()].sort(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** The types are checked by the gate for publishing; here only the files matter. */
async function publish(folder: string, url: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "publish",
      "--allow-dirty",
      "--no-check",
      "--no-provenance",
      "--token",
      "loopback",
    ],
    cwd: folder,
    env: { JSR_URL: url, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`'deno publish' failed:\n${new TextDecoder().decode(stderr)}`);
}

/** Scope and package exist, this version does not yet. */
function apiAnswer(pathname: string): Response {
  return pathname.includes("/versions/") ? notFound() : Response.json({});
}

function notFound(): Response {
  return Response.json({ code: "packageVersionNotFound", message: "Not found." }, { status: 404 });
}

function received(pathname: string, archive: Uint8Array): Version {
  const parts = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)\/versions\/([^/]+)$/.exec(pathname);
  if (parts === null) throw new Error(`'${pathname}' is no address to publish to.`);
  const [, scope, name, version] = parts as unknown as [string, string, string, string];
  const files = new Map(
    [...readTar(gunzipSync(archive))].map(([path, bytes]) => [`/${path}`, bytes]),
  );
  const config: { readonly exports: Readonly<Record<string, string>> } = JSON.parse(
    new TextDecoder().decode(files.get("/deno.json")),
  );
  const manifest = Object.fromEntries(
    [...files].map(([path, bytes]) => [path, {
      size: bytes.length,
      checksum: `sha256-${createHash("sha256").update(bytes).digest("hex")}`,
    }]),
  );
  const metadata = { manifest, moduleGraph2: moduleGraph(files), exports: config.exports };
  return { scope, name, version, files, metadata: JSON.stringify(metadata) };
}

function answer(held: Version, pathname: string): Response {
  const base = `/@${held.scope}/${held.name}/`;
  if (pathname === `${base}meta.json`) {
    const { scope, name, version } = held;
    return Response.json({ scope, name, latest: version, versions: { [version]: {} } });
  }
  if (pathname === `${base}${held.version}_meta.json`) {
    return new Response(held.metadata, { headers: { "content-type": "application/json" } });
  }
  const folder = `${base}${held.version}`;
  const bytes = pathname.startsWith(`${folder}/`)
    ? held.files.get(decodeURIComponent(pathname.slice(folder.length)))
    : undefined;
  if (bytes === undefined) return notFound();
  return new Response(bytes as Uint8Array<ArrayBuffer>, {
    headers: { "content-type": contentType(pathname), "access-control-allow-origin": "*" },
  });
}

function contentType(path: string): string {
  if (/\.[cm]?tsx?$/.test(path)) return "text/typescript";
  if (/\.[cm]?jsx?$/.test(path)) return "text/javascript";
  if (path.endsWith(".json")) return "application/json";
  return "text/plain; charset=utf-8";
}
