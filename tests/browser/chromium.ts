/**
 * A real Chromium for tests, where the machine has one.
 *
 * @module
 */
import { type Browser, chromium } from "playwright-core";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** Path of the browser: `CHROMIUM` from the environment, or a usual place; null where there is none. */
export function findChromium(): string | null {
  const given = Deno.env.get("CHROMIUM") ?? "";
  const places = given === "" ? PLACES : [given];
  return places.find((path) => isFile(path)) ?? null;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Starts it with a fresh profile; talks to nobody but the page under test. */
export async function launchChromium(path: string): Promise<Browser> {
  return await chromium.launch({
    executablePath: path,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
