/**
 * The same vectors and the same round trips in Deno, workerd and Chromium, with the code that ships.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Miniflare } from "miniflare";
import process from "node:process";
import { findChromium, launchChromium } from "../tests/browser/chromium.ts";
import { bundlePage } from "../tests/browser/page_script.ts";
import { createHttpTransport, openSocketTransport } from "./client.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { bundleModule } from "./testing/browser_bundle.ts";
import { serveGateway } from "./testing/gateway.ts";
import { type PlatformReport, trips, vectors } from "./testing/platform_entry.ts";
import { echoDispatch, roundTrips, subscriptionsEnd } from "./testing/round_trips.ts";
import { VECTOR_FILES, type VectorFiles } from "./testing/vector_suite.ts";
import { haveVectors, readVectors } from "./testing/vectors.ts";

const ignore = !haveVectors();
const chromium = findChromium();
if (chromium === null) {
  console.warn("SKIPPED: raystream in Chromium (Debian: apt-get install chromium).");
}
const apart = { sanitizeOps: false, sanitizeResources: false } as const;

function files(): VectorFiles {
  const read = Object.entries(VECTOR_FILES).map(([kind, name]) => [kind, readVectors(name)]);
  return Object.fromEntries(read) as unknown as VectorFiles;
}

function checkReport(report: PlatformReport, provider: string, dh: readonly string[]): void {
  assert.deepEqual(report.failures, []);
  assert.equal(report.provider, provider);
  for (const name of dh) {
    assert.equal(report.counts[`X25519 ${name}`], 487);
    assert.equal(report.counts[`X25519 ${name} refused`], 31);
  }
  const kinds = Object.keys(report.counts);
  for (const kind of ["ChaCha20-Poly1305 noble", "HMAC noble", "HKDF noble", "pairs"]) {
    assert.ok(kinds.includes(kind), `${kind} did not run`);
  }
}

Deno.test({
  name: "Deno: every implementation agrees with the published vectors, and with every other",
  ignore,
  async fn() {
    checkReport(await vectors(files()), "node/node", ["web", "node", "noble"]);
  },
});

Deno.test("Deno: round trips over HTTP and WebSocket", async () => {
  await using gateway = await serveGateway(echoDispatch, { limits: { message: 2 << 20 } });
  for (const kind of ["http", "socket"] as const) {
    assert.deepEqual(await trips(kind, { ...gateway, app: "test-app" }), []);
  }
});

Deno.test({
  name: "workerd: vectors, and round trips as gateway and as client",
  ignore,
  ...apart,
  async fn() {
    const { outputFiles } = await bundleModule("protocol/testing/worker_entry.ts", {
      splitting: false,
    });
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    const before = signals.map((signal) => process.listeners(signal));
    const worker = new Miniflare({
      host: "127.0.0.1",
      port: 0,
      modules: true,
      script: outputFiles[0]!.text,
      compatibilityDate: "2026-07-01",
      compatibilityFlags: ["nodejs_compat"],
      cf: false,
    });
    try {
      const url = (await worker.ready).origin;
      // miniflare would end the process on a signal.
      for (const [index, signal] of signals.entries()) {
        for (const each of process.listeners(signal)) {
          if (!before[index]!.includes(each)) process.off(signal, each);
        }
      }
      const post = async (path: string, body: unknown): Promise<unknown> => {
        const response = await fetch(`${url}${path}`, {
          method: "POST",
          body: JSON.stringify(body),
        });
        return await response.json();
      };
      const report = await post("/vectors", files()) as PlatformReport;
      checkReport(report, "web/noble+node", ["web", "noble"]);

      const pins = await (await fetch(`${url}/pins`)).json();
      const options = { url, pins, app: "test-app" };
      await using gateway = await serveGateway(echoDispatch, { limits: { message: 2 << 20 } });
      for (const transport of [createHttpTransport(options), await openSocketTransport(options)]) {
        const failures = await roundTrips(transport);
        transport.close();
        assert.deepEqual(failures, []);
      }
      for (const from of [options, { ...gateway, app: "test-app" }]) {
        const transport = await openSocketTransport(from);
        assert.equal(await subscriptionsEnd(transport, DEFAULT_LIMITS.subscriptions), true);
        transport.close();
      }
      const { url: outside, pins: theirs } = gateway;
      for (const kind of ["http", "socket"]) {
        const request = { kind, url: outside, pins: theirs, app: "test-app" };
        assert.deepEqual(await post("/trips", request), [], `as a client over ${kind}`);
      }
    } finally {
      await worker.dispose();
    }
  },
});

Deno.test({
  name: "Chromium: vectors and round trips with the bundle that pages load, noble in a lazy chunk",
  ignore: ignore || chromium === null,
  ...apart,
  async fn() {
    const script = await bundlePage("protocol/testing/page_entry.ts");
    await using gateway = await serveGateway(
      echoDispatch,
      { limits: { message: 2 << 20 } },
      (request, next) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/raystream") return next(request);
        const html = '<!doctype html><script type="module" src="/entry.js"></script>';
        const [body, type] = pathname === "/"
          ? [html, "text/html"]
          : [script.files.get(pathname) ?? "", "text/javascript"];
        return Promise.resolve(new Response(body, { headers: { "content-type": type } }));
      },
    );
    const browser = await launchChromium(chromium!);
    try {
      const page = await browser.newPage();
      await page.goto(`${gateway.url}/`);
      await page.waitForFunction("globalThis.suite !== undefined");
      const report = await page.evaluate(
        `suite.vectors(${JSON.stringify(files())})`,
      ) as PlatformReport;
      checkReport(report, "web/noble", ["web", "noble"]);
      const options = { url: gateway.url, pins: gateway.pins, app: "test-app" };
      for (const kind of ["http", "socket"]) {
        const failures = await page.evaluate(`suite.trips("${kind}", ${JSON.stringify(options)})`);
        assert.deepEqual(failures, [], `over ${kind}`);
      }
      await script.saveCoverage(page);
    } finally {
      await browser.close();
    }
  },
});
