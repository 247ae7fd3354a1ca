/** The newest articles, by tag: the functions behind the API, called as functions. */
import { listArticles, listTags } from "@/client";
import type { ArticleSummary } from "../src/articles.ts";

const tagList = document.querySelector<HTMLElement>("#tags")!;
const articleList = document.querySelector<HTMLElement>("#articles")!;
const state = document.querySelector<HTMLElement>("#state")!;

let chosen: string | undefined;

/** What people wrote reaches the page as text only. */
function element(name: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function articleItem(article: ArticleSummary): HTMLElement {
  const { title, description, author, createdAt, favoritesCount } = article;
  const item = document.createElement("li");
  const about = `${author.username}, ${createdAt.toLocaleDateString()} · ♥ ${favoritesCount}`;
  item.append(element("h2", title), element("p", description), element("p", about));
  return item;
}

async function showArticles(): Promise<void> {
  const asked = chosen;
  const { articles, articlesCount } = await listArticles(asked);
  if (asked !== chosen) return;
  articleList.replaceChildren(...articles.map(articleItem));
  state.textContent = articlesCount === 0
    ? "Nobody has written anything yet."
    : `${articles.length} of ${articlesCount}`;
}

async function showTags(): Promise<void> {
  const { tags } = await listTags();
  tagList.replaceChildren(
    ...tags.slice(0, 20).map((tag) => {
      const button = element("button", tag);
      button.ariaPressed = String(tag === chosen);
      button.addEventListener("click", () => {
        chosen = chosen === tag ? undefined : tag;
        show();
      });
      return button;
    }),
  );
}

function show(): void {
  Promise.all([showTags(), showArticles()]).catch((error: Error) => {
    state.textContent = error.message;
  });
}

show();
