/**
 * A doc comment, taken apart: prose and the tags that a page shows in a place of their own.
 *
 * Tags that are not known stay out of the page; they speak to tools.
 *
 * @module
 */

/** What a comment says. Texts are as the author wrote them: escape before showing. */
export interface DocComment {
  /** Everything before the first tag. */
  readonly text: string;
  /** First sentence or line of the prose, on one line. */
  readonly summary: string;
  /** By parameter name. */
  readonly params: ReadonlyMap<string, string>;
  readonly returns: string;
  readonly throws: readonly { readonly type: string; readonly text: string }[];
  readonly examples: readonly { readonly title: string; readonly body: string }[];
  /** Null where it is not deprecated; an empty text where no reason is given. */
  readonly deprecated: string | null;
  readonly since: string;
  readonly see: readonly string[];
}

interface Tag {
  readonly name: string;
  readonly body: string;
}

/** Takes a comment apart; never fails. */
export function parseDocComment(doc: string): DocComment {
  const { text, tags } = split(doc);
  const params = new Map<string, string>();
  const throws: { type: string; text: string }[] = [];
  const examples: { title: string; body: string }[] = [];
  const see: string[] = [];
  let returns = "", since = "";
  let deprecated: string | null = null;
  for (const { name, body } of tags) {
    switch (name) {
      case "param":
      case "arg":
      case "argument": {
        const found =
          /^(?:\{[^}]*\}\s*)?\[?(?:\.\.\.)?([\w$]+)(?:=[^\]]*)?\]?\s*(?:-\s*)?([\s\S]*)$/
            .exec(body);
        if (found !== null) params.set(found[1]!, found[2]!.trim());
        break;
      }
      case "return":
      case "returns":
        returns = body.replace(/^\{[^}]*\}\s*/, "");
        break;
      case "throws":
      case "throw":
      case "exception": {
        const found = /^(?:\{([^}]*)\}|([A-Z][\w.]*))?\s*(?:-\s*)?([\s\S]*)$/.exec(body);
        throws.push({ type: found?.[1] ?? found?.[2] ?? "", text: found?.[3]?.trim() ?? "" });
        break;
      }
      case "example":
        examples.push(exampleOf(body));
        break;
      case "deprecated":
        deprecated = body;
        break;
      case "since":
        since = body;
        break;
      case "see":
        see.push(body);
        break;
    }
  }
  return {
    text,
    summary: summaryOf(text),
    params,
    returns,
    throws,
    examples,
    deprecated,
    since,
    see,
  };
}

/** A tag begins a line; inside fenced code an `@` means nothing. */
function split(doc: string): { readonly text: string; readonly tags: readonly Tag[] } {
  const prose: string[] = [];
  const tags: { name: string; lines: string[] }[] = [];
  let fence: string | null = null;
  for (const line of doc.split(/\r\n?|\n/)) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined && fence === null) fence = mark;
    else if (mark !== undefined && fence !== null && mark.startsWith(fence)) fence = null;
    const tag = fence === null ? /^\s*@(\w+)\b\s?(.*)$/.exec(line) : null;
    if (tag !== null) tags.push({ name: tag[1]!.toLowerCase(), lines: [tag[2]!] });
    else (tags.at(-1)?.lines ?? prose).push(line);
  }
  return {
    text: prose.join("\n").trim(),
    tags: tags.map(({ name, lines }) => ({ name, body: lines.join("\n").trim() })),
  };
}

/** `@example Title` with fenced code below, or code right away. */
function exampleOf(body: string): { readonly title: string; readonly body: string } {
  if (!/^\s*(?:`{3,}|~{3,})/m.test(body)) {
    const caption = /^\s*<caption>([^\n]*?)<\/caption>\n?/.exec(body);
    const source = caption === null ? body : body.slice(caption[0].length);
    return {
      title: caption?.[1] ?? "",
      body: `${fenceFor(source)}ts\n${source}\n${fenceFor(source)}`,
    };
  }
  const [first = "", ...rest] = body.split("\n");
  return /^\s*(?:`{3,}|~{3,})/.test(first)
    ? { title: "", body }
    : { title: first.trim(), body: rest.join("\n").trim() };
}

function fenceFor(text: string): string {
  return "`".repeat(Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length)) + 1);
}

function summaryOf(text: string): string {
  const paragraph = text.split(/\n\s*\n/, 1)[0]!.replaceAll(/\s+/g, " ").trim();
  const sentence = /^.*?[.!?](?=\s+[\p{Lu}`'"(])/u.exec(paragraph)?.[0];
  return sentence ?? paragraph;
}
