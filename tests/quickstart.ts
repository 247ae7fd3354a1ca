/**
 * The quickstart as its page has it.
 *
 * @module
 */

/** A code block of the page: what stands after the fence, and the text. */
export interface QuickstartBlock {
  readonly info: string;
  readonly text: string;
}

/** The page's code blocks, in order. */
export async function quickstartBlocks(): Promise<readonly QuickstartBlock[]> {
  const page = await Deno.readTextFile(new URL("../docs/guide/quickstart.md", import.meta.url));
  return [...page.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map(([, info = "", text = ""]) => ({
    info,
    text,
  }));
}

/** The files of the app that it makes by hand, by path. */
export async function quickstartFiles(): Promise<Map<string, string>> {
  return new Map((await quickstartBlocks()).flatMap(({ info, text }) => {
    const name = info === "json"
      ? "deno.json"
      : info === "html"
      ? "web/index.html"
      : /\[(.+)\]/.exec(info)?.[1];
    return name === undefined ? [] : [[name, text] as const];
  }));
}
