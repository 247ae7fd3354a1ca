/**
 * JSX as an app's `deno.json` says, in Vite's words: Vite itself reads a `tsconfig.json` alone.
 *
 * @module
 */

/** What a configuration of Vite may say of JSX itself: `oxc` from Vite 8 on, `esbuild` before. */
export interface ViteJsx {
  readonly oxc?: unknown;
  readonly esbuild?: unknown;
}

/** Settings to add to a configuration; none where the app has no JSX, or Vite is told already. */
export function viteJsx(
  options: Readonly<Record<string, unknown>>,
  config: ViteJsx,
  viteVersion: string | undefined,
): Readonly<Record<string, unknown>> {
  const { jsx, jsxImportSource, jsxFactory, jsxFragmentFactory } = options;
  if (typeof jsx !== "string" || saysJsx(config.oxc) || saysJsx(config.esbuild)) return {};
  const text = (name: string, value: unknown): Record<string, string> =>
    typeof value === "string" ? { [name]: value } : {};
  const classic = jsx === "react";
  if (Number.parseInt(viteVersion ?? "") >= 8) {
    return {
      oxc: {
        jsx: classic
          ? {
            runtime: "classic",
            ...text("pragma", jsxFactory),
            ...text("pragmaFrag", jsxFragmentFactory),
          }
          : { runtime: "automatic", ...text("importSource", jsxImportSource) },
      },
    };
  }
  return {
    esbuild: classic
      ? {
        jsx: "transform",
        ...text("jsxFactory", jsxFactory),
        ...text("jsxFragment", jsxFragmentFactory),
      }
      : { jsx: "automatic", ...text("jsxImportSource", jsxImportSource) },
  };
}

function saysJsx(settings: unknown): boolean {
  return typeof settings === "object" && settings !== null &&
    Object.keys(settings).some((name) => name.startsWith("jsx"));
}
