import { backend, ctx, env, HttpResp, type Int32, perms } from "@kontract/kontract";
import { filled, Refused } from "./refused.ts";
import type { ArticleRow } from "./schema.ts";
import { me, type Profile, profileOf, signedIn } from "./users.ts";

/** An article to be. */
export interface NewArticle {
  title: string;
  description: string;
  body: string;
  tagList?: string[];
}

/** What changes; what is missing stays. */
export interface ArticleChange {
  title?: string;
  description?: string;
  body?: string;
  tagList?: string[];
}

/** An article in a list. */
export interface ArticleSummary {
  slug: string;
  title: string;
  description: string;
  tagList: string[];
  createdAt: Date;
  updatedAt: Date;
  /** Whether the caller likes it. */
  favorited: boolean;
  favoritesCount: Int32;
  author: Profile;
}

/** An article. */
export interface Article extends ArticleSummary {
  body: string;
}

/** A page of articles, the newest first. */
export interface ArticlePage {
  articles: ArticleSummary[];
  /** How many there are on all pages. */
  articlesCount: Int32;
}

/** Writing and reading. */
export class Articles {
  /** Articles of the people the caller follows. */
  @backend({ readOnly: true, http: { method: "GET", path: "/api/articles/feed" } })
  static async feedArticles(offset: Int32 = 0, limit: Int32 = 20): Promise<ArticlePage> {
    return await page({ follower: signedIn() }, offset, limit);
  }

  /**
   * All articles.
   *
   * @param tag Only those with this tag.
   * @param author Only those by this person.
   * @param favorited Only those this person likes.
   */
  @backend({
    readOnly: true,
    session: "optional",
    http: { method: "GET", path: "/api/articles" },
  })
  static async listArticles(
    tag?: string,
    author?: string,
    favorited?: string,
    offset: Int32 = 0,
    limit: Int32 = 20,
  ): Promise<ArticlePage> {
    return await page({ tag, author, favorited }, offset, limit);
  }

  /** One article. */
  @backend({
    readOnly: true,
    session: "optional",
    http: { method: "GET", path: "/api/articles/{slug}" },
  })
  static async getArticle(slug: string): Promise<{ article: Article }> {
    return { article: await shown(slug) };
  }

  /** Writes an article. */
  @backend({
    perm: perms.RW_,
    grants: { "articles.author": perms.RW_, "articles.createdAt": perms.RW_ },
    http: { method: "POST", path: "/api/articles" },
  })
  static async createArticle(article: NewArticle): Promise<{ article: Article }> {
    const author = await me();
    const title = filled("title", article.title);
    const slug = await freeSlug(title);
    const now = new Date();
    const row = await env.storage.articles.set(slug, {
      title,
      description: filled("description", article.description),
      body: filled("body", article.body),
      tagList: tagsOf(article.tagList ?? []),
      author: author.id,
      createdAt: now,
      updatedAt: now,
    });
    await tag(slug, row.tagList);
    return HttpResp.created({
      article: { ...row, favorited: false, favoritesCount: 0, author: profileOf(author, false) },
    });
  }

  /** Changes an article of the caller's own. */
  @backend({ perm: perms.RWX, http: { method: "PUT", path: "/api/articles/{slug}" } })
  static async updateArticle(slug: string, article: ArticleChange): Promise<{ article: Article }> {
    const { title, description, body, tagList } = article;
    await env.storage.transaction(async () => {
      const before = await ownArticle(slug);
      const after = await env.storage.articles.update(slug, {
        ...(title === undefined ? {} : { title: filled("title", title) }),
        ...(description === undefined ? {} : { description: filled("description", description) }),
        ...(body === undefined ? {} : { body: filled("body", body) }),
        ...(tagList === undefined ? {} : { tagList: tagsOf(tagList) }),
        updatedAt: new Date(),
      });
      await untag(slug, before.tagList.filter((one) => !after.tagList.includes(one)));
      await tag(slug, after.tagList.filter((one) => !before.tagList.includes(one)));
    });
    return { article: await shown(slug) };
  }

  /** Removes an article of the caller's own, with what was said about it. */
  @backend({ perm: perms.RWX, http: { method: "DELETE", path: "/api/articles/{slug}" } })
  static async deleteArticle(slug: string): Promise<void> {
    const { tagList } = await ownArticle(slug);
    const [comments, favorites] = await Promise.all([
      env.storage.comments.query({ article: slug }),
      env.storage.favorites.query({ article: slug }),
    ]);
    for (const { id } of comments) await env.storage.comments.delete(id);
    for (const { id } of favorites) await env.storage.favorites.delete(id);
    await untag(slug, tagList);
    await env.storage.articles.delete(slug);
  }

  /** Likes an article. */
  @backend({ perm: perms.RW_, http: { method: "POST", path: "/api/articles/{slug}/favorite" } })
  static async favoriteArticle(slug: string): Promise<{ article: Article }> {
    const id = `${signedIn()}/${slug}`;
    await env.storage.transaction(async () => {
      await requireArticle(slug);
      await env.storage.favorites.set(id, { article: slug });
    });
    return { article: await shown(slug) };
  }

  /** Likes an article no more. */
  @backend({ perm: perms.R_X, http: { method: "DELETE", path: "/api/articles/{slug}/favorite" } })
  static async unfavoriteArticle(slug: string): Promise<{ article: Article }> {
    const id = `${signedIn()}/${slug}`;
    await env.storage.transaction(async () => {
      await requireArticle(slug);
      await env.storage.favorites.delete(id);
    });
    return { article: await shown(slug) };
  }

  /** All tags, those of most articles first. */
  @backend({ readOnly: true, session: "none", http: { method: "GET", path: "/api/tags" } })
  static async listTags(): Promise<{ tags: string[] }> {
    const rows = await env.storage.exec<{ tag: string }>`
      select tag from taggings group by tag order by count(*) desc, tag limit 1000`;
    return { tags: rows.map((row) => row.tag) };
  }
}

/** Refuses where there is no such article. */
export async function requireArticle(slug: string): Promise<ArticleRow> {
  const row = await env.storage.articles.get(slug);
  if (row === null) throw new Refused(404, "article", "not found");
  return row;
}

async function ownArticle(slug: string): Promise<ArticleRow> {
  const owner = signedIn();
  const row = await requireArticle(slug);
  if (row.author !== owner) throw new Refused(403, "article", "forbidden");
  return row;
}

async function tag(slug: string, tags: readonly string[]): Promise<void> {
  for (const tag of tags) {
    await env.storage.taggings.set(`${slug} ${tag}`, { tag, article: slug });
  }
}

async function untag(slug: string, tags: readonly string[]): Promise<void> {
  for (const tag of tags) await env.storage.taggings.delete(`${slug} ${tag}`);
}

/** Each once, in the author's order. */
function tagsOf(given: readonly string[]): string[] {
  const tags = [...new Set(given.map((one) => one.trim()).filter((one) => one !== ""))];
  if (tags.length > 50 || tags.some((one) => one.length > 100)) {
    throw new Refused(422, "tagList", "has at most 50 tags of 100 characters");
  }
  return tags;
}

/** What the title says in an address; with a random end where another article has that. */
async function freeSlug(title: string): Promise<string> {
  const words = title.normalize("NFKD").replaceAll(/\p{M}+/gu, "").toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "").slice(0, 80);
  // 'feed' is an address of its own.
  const taken = words === "" || words === "feed" || await env.storage.articles.has(words);
  return taken ? `${words || "article"}-${crypto.randomUUID().slice(0, 8)}` : words;
}

/** A row of the queries below: an article and its author in one. */
interface SummaryRow extends Omit<ArticleSummary, "author">, Profile {}

interface OneRow extends SummaryRow {
  body: string;
}

interface PageRow extends SummaryRow {
  total: Int32;
}

function summary(row: SummaryRow): ArticleSummary {
  const { slug, title, description, tagList, createdAt, updatedAt } = row;
  const { favorited, favoritesCount, username, bio, image, following } = row;
  const author = { username, bio, image, following };
  return {
    ...{ slug, title, description, tagList, createdAt, updatedAt },
    ...{ favorited, favoritesCount, author },
  };
}

/** An article as the caller sees it: one statement. */
async function shown(slug: string): Promise<Article> {
  const [row] = await env.storage.exec<OneRow>`
    select a.slug, a.title, a.description, a.body, a."tagList", a."createdAt", a."updatedAt",
           exists (select 1 from favorites f where f.id = ${ctx.owner} || '/' || a.slug) as favorited,
           (select count(*) from favorites f where f.article = a.slug) as "favoritesCount",
           u.username, u.bio, u.image,
           exists (select 1 from follows f where f.id = ${ctx.owner} || '/' || u.id) as following
      from articles a join users u on u.id = a.author
     where a.slug = ${slug}`;
  if (row === undefined) throw new Refused(404, "article", "not found");
  return { ...summary(row), body: row.body };
}

/** Which articles a page is of; what is missing does not matter. */
interface PageOf {
  readonly tag?: string | undefined;
  readonly author?: string | undefined;
  readonly favorited?: string | undefined;
  readonly follower?: string | undefined;
}

/** A page as the caller sees it: one statement, and one more where the page is behind the last. */
async function page(of: PageOf, offset: number, limit: number): Promise<ArticlePage> {
  if (offset < 0) throw new Refused(422, "offset", "must be at least 0");
  if (limit < 1) throw new Refused(422, "limit", "must be at least 1");
  const [tag, author] = [of.tag ?? null, of.author ?? null];
  const [favorited, follower] = [of.favorited ?? null, of.follower ?? null];
  const rows = await env.storage.exec<PageRow>`
    select a.slug, a.title, a.description, a."tagList", a."createdAt", a."updatedAt",
           exists (select 1 from favorites f where f.id = ${ctx.owner} || '/' || a.slug) as favorited,
           (select count(*) from favorites f where f.article = a.slug) as "favoritesCount",
           u.username, u.bio, u.image,
           exists (select 1 from follows f where f.id = ${ctx.owner} || '/' || u.id) as following,
           count(*) over () as total
      from articles a join users u on u.id = a.author
     where (${tag} is null or exists (
             select 1 from taggings t where t.tag = ${tag} and t.article = a.slug))
       and (${author} is null or u.username = ${author})
       and (${favorited} is null or exists (
             select 1 from users w join favorites f on f.id = w.id || '/' || a.slug
              where w.username = ${favorited}))
       and (${follower} is null or exists (
             select 1 from follows f where f.id = ${follower} || '/' || a.author))
     order by a."createdAt" desc, a.slug
     limit ${Math.min(limit, 1000)} offset ${offset}`;
  const first = rows[0];
  if (first === undefined && offset > 0) {
    return { articles: [], articlesCount: (await page(of, 0, 1)).articlesCount };
  }
  return { articles: rows.map(summary), articlesCount: first?.total ?? 0 };
}
