/**
 * What a visitor of the dev server sees while there is nothing to serve: an HTML page for a browser, JSON
 * for everything else. The text is a developer's own source and compiler output, so all of it is escaped.
 *
 * @module
 */
import type { ErrorCode } from "../../_internal/errors.ts";

/** Why there is nothing to serve. */
export interface Problem {
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  /** Plain text, several lines. */
  readonly detail: string;
}

/** The page or the JSON, whichever was asked for. */
export function problemResponse(problem: Problem, request: Request, script = ""): Response {
  const headers = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
  if (!(request.headers.get("accept") ?? "").includes("text/html")) {
    const error = { code: problem.code, message: `${problem.title}\n${problem.detail}`.trim() };
    return Response.json({ error }, { status: problem.status, headers });
  }
  return new Response(page(problem, script), {
    status: problem.status,
    headers: { ...headers, "content-type": "text/html; charset=utf-8" },
  });
}

function page(problem: Problem, script: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(problem.title)}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
  pre { overflow-x: auto; padding: 1rem; border-radius: .5rem; background: #8881; font-size: .9rem }
</style>
<h1>${escapeHtml(problem.title)}</h1>
<pre>${escapeHtml(problem.detail)}</pre>
${script}
`;
}

/** Text that may stand in HTML, also inside a quoted attribute. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => names[character]!);
}
