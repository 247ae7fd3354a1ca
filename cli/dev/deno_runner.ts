/**
 * The process behind `dev` on Deno. It is started before there is a build for it and loads the package's own
 * modules meanwhile; when it is told to, it imports the build that is on disk then, and serves it to its end. So
 * no module of an earlier build is ever in it.
 *
 * Arguments: port, the secret path that tells it to import, the build's entry, modules to load before.
 *
 * @module
 */

/** What a build exports. */
interface Served {
  fetch(request: Request, info: Deno.ServeHandlerInfo): Response | Promise<Response>;
}

const [port, path, entry = "", ...modules] = Deno.args;
let served: Served | null = null;

try {
  for (const url of modules) {
    const { warmUp } = await import(url) as { readonly warmUp?: () => Promise<void> };
    await warmUp?.();
  }
} catch {
  // The next build has taken these files away: whoever waits for this process starts another.
  Deno.exit(1);
}

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen: () => {} }, (request, info) => {
  if (served !== null) return served.fetch(request, info);
  return new URL(request.url).pathname === path ? load() : new Response(null, { status: 503 });
});

async function load(): Promise<Response> {
  try {
    served = (await import(entry)).default as Served;
    return new Response(null, { status: 204 });
  } catch (error) {
    console.error(error);
    return new Response(null, { status: 500 });
  }
}
