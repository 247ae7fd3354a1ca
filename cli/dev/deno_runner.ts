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

/** Loads what a first call needs; with the environment it also connects. */
type WarmUp = (env?: (name: string) => string | undefined) => Promise<void>;

const [port, path, entry = "", ...modules] = Deno.args;
let served: Served | null = null;
const warmUps: WarmUp[] = [];

try {
  for (const url of modules) {
    const { warmUp } = await import(url) as { readonly warmUp?: WarmUp };
    if (warmUp !== undefined) warmUps.push(warmUp);
    await warmUp?.();
  }
} catch {
  // The next build has taken these files away: whoever waits for this process starts another.
  Deno.exit(1);
}

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen: () => {} }, (request, info) => {
  if (served !== null) return served.fetch(request, info);
  const url = new URL(request.url);
  if (url.pathname !== path) return new Response(null, { status: 503 });
  return url.search === "?expect" ? expect() : load();
});

async function expect(): Promise<Response> {
  for (const warmUp of warmUps) await warmUp((name) => Deno.env.get(name));
  return new Response(null, { status: 204 });
}

async function load(): Promise<Response> {
  try {
    served = (await import(entry)).default as Served;
    return new Response(null, { status: 204 });
  } catch (error) {
    console.error(error);
    return new Response(null, { status: 500 });
  }
}
