/**
 * Every request of the contract against a running app, in the order in which people would send them; each answer is
 * judged by the contract where that is at hand, and by what is said here.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Contract } from "./contract.ts";

interface Asked {
  /** A token, or a whole `Authorization` header. */
  readonly token?: string;
  /** The body; a text is sent as it is. */
  readonly json?: unknown;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined where there is none. */
  readonly body: Body;
}

interface Profile {
  readonly username: string;
  readonly bio: string | null;
  readonly image: string | null;
  readonly following: boolean;
}

interface Article {
  readonly slug: string;
  readonly title: string;
  readonly body?: string;
  readonly tagList: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly favorited: boolean;
  readonly favoritesCount: number;
  readonly author: Profile;
}

interface Comment {
  readonly id: number;
  readonly body: string;
  readonly author: Profile;
}

interface Body {
  readonly user: Omit<Profile, "following"> & { readonly email: string; readonly token: string };
  readonly profile: Profile;
  readonly article: Article;
  readonly articles: readonly Article[];
  readonly articlesCount: number;
  readonly comment: Comment;
  readonly comments: readonly Comment[];
  readonly tags: readonly string[];
  readonly errors: Readonly<Record<string, readonly string[]>>;
}

const PASSWORD = "correct horse battery";

/** Sends all requests to the app at `origin`, under names that no other run has. */
export async function conform(origin: string, t: Deno.TestContext): Promise<void> {
  const contract = await Contract.read();
  const uid = crypto.randomUUID().slice(0, 8);

  const send = async (address: string, { token, json }: Asked = {}): Promise<Answer> => {
    const [method = "", path = ""] = address.split(" ");
    const response = await fetch(`${origin}/api${path}`, {
      method,
      headers: {
        ...(token === undefined
          ? {}
          : { authorization: token.includes(" ") ? token : `Token ${token}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(json === undefined
        ? {}
        : { body: typeof json === "string" ? json : JSON.stringify(json) }),
    });
    const text = await response.text();
    const body = text === "" ? undefined : JSON.parse(text);
    contract?.judge(method, path.replace(/\?.*$/, ""), response.status, body);
    return { status: response.status, headers: response.headers, body };
  };
  const refused = async (
    address: string,
    asked: Asked,
    status: number,
    errors: Readonly<Record<string, string>>,
  ): Promise<void> => {
    const answer = await send(address, asked);
    const expected = Object.fromEntries(
      Object.entries(errors).map(([name, text]) => [name, [text]]),
    );
    assert.deepEqual([answer.status, answer.body], [status, { errors: expected }], address);
  };
  const MISSING = { token: "is missing" };
  const BLANK = "can't be blank";
  const TAKEN = "has already been taken";

  const names = { ada: `ada_${uid}`, bob: `bob_${uid}` };
  const signUp = async (username: string): Promise<string> => {
    const user = { username, email: `${username}@test.com`, password: PASSWORD };
    const { status, body } = await send("POST /users", { json: { user } });
    assert.equal(status, 201);
    assert.deepEqual({ ...body.user, token: "" }, {
      ...{ email: user.email, token: "", username, bio: null, image: null },
    });
    assert.match(body.user.token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    return body.user.token;
  };
  let ada = "";
  let bob = "";

  await t.step("people sign up, once under each name and address", async () => {
    ada = await signUp(names.ada);
    bob = await signUp(names.bob);
    const user = { username: `new_${uid}`, email: `new_${uid}@test.com`, password: PASSWORD };
    const post = (
      change: Record<string, unknown>,
      status: number,
      errors: Record<string, string>,
    ) => refused("POST /users", { json: { user: { ...user, ...change } } }, status, errors);
    await post({ username: names.ada }, 409, { username: TAKEN });
    await post({ email: `${names.ada}@test.com` }, 409, { email: TAKEN });
    await post({ email: `${names.ada}@TEST.com`, password: "something else" }, 409, {
      email: TAKEN,
    });
    for (const name of ["username", "email", "password"]) {
      await post({ [name]: "" }, 422, { [name]: BLANK });
      await post({ [name]: undefined }, 422, { [name]: BLANK });
      await post({ [name]: null }, 422, { [name]: BLANK });
      await post({ [name]: 7 }, 422, { [name]: "must be a string" });
    }
    await post({ email: "nobody" }, 422, { email: "is invalid" });
    await post({ password: "short" }, 422, { password: "is too short (minimum is 8 characters)" });
    const tooLong = { username: "is too long (maximum is 100 characters)" };
    await post({ username: "u".repeat(101) }, 422, tooLong);
    await refused("POST /users", { json: {} }, 422, { user: BLANK });
    await refused("POST /users", { json: { user, more: "x".repeat(1 << 20) } }, 422, {
      body: "The body is larger than 1048576 bytes.",
    });
    await refused("POST /users", { json: "{" }, 422, { body: "The body is not JSON." });
  });

  await t.step("two who take one name at the same moment do not both get it", async () => {
    const username = `race_${uid}`;
    const answers = await Promise.all([1, 2, 3].map((i) =>
      send("POST /users", {
        json: { user: { username, email: `race${i}_${uid}@test.com`, password: PASSWORD } },
      })
    ));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
    const lost = answers.findIndex(({ status }) => status === 409) + 1;
    // Whoever lost has an account without a name by now, and may go on with it.
    const user = { username: `late_${uid}`, email: `race${lost}_${uid}@test.com` };
    await refused("POST /users", { json: { user: { ...user, password: "not the same" } } }, 409, {
      email: TAKEN,
    });
    const again = await send("POST /users", { json: { user: { ...user, password: PASSWORD } } });
    assert.equal(again.status, 201);
  });

  await t.step("they sign in with the right password only, whatever token they show", async () => {
    const login = (user: Record<string, string>, token?: string) =>
      send("POST /users/login", { json: { user }, ...(token === undefined ? {} : { token }) });
    const email = `${names.ada}@test.com`;
    const { status, body } = await login({ email, password: PASSWORD }, "stale");
    assert.deepEqual([status, body.user.username], [200, names.ada]);
    ada = body.user.token;
    for (const user of [{ email, password: "wrong" }, { email: "no@no.no", password: PASSWORD }]) {
      await refused("POST /users/login", { json: { user } }, 401, { credentials: "invalid" });
    }
    for (const name of ["email", "password"]) {
      const user = { email, password: PASSWORD, [name]: "" };
      await refused("POST /users/login", { json: { user } }, 422, { [name]: BLANK });
    }
  });

  await t.step("a token is asked for where somebody in particular is meant", async () => {
    const me = await send("GET /user", { token: ada });
    assert.deepEqual([me.status, me.body.user.token, me.body.user.username], [200, ada, names.ada]);
    assert.equal((await send("GET /user", { token: `Bearer ${ada}` })).status, 200);
    for (const token of ["abc", "a.b.c", `${ada}x`, `Basic ${ada}`, "Token ", " "]) {
      await refused("GET /user", { token }, 401, MISSING);
    }
    const body = { json: { article: { title: "t", description: "d", body: "b" } } };
    for (
      const address of [
        ...["GET /user", "PUT /user", "GET /articles/feed", "POST /articles", "PUT /articles/x"],
        ...["DELETE /articles/x", "POST /articles/x/favorite", "DELETE /articles/x/favorite"],
        ...["POST /articles/x/comments", "DELETE /articles/x/comments/1"],
        ...[`POST /profiles/${names.ada}/follow`, `DELETE /profiles/${names.ada}/follow`],
      ]
    ) {
      await refused(address, address.startsWith("P") ? body : {}, 401, MISSING);
    }
    // An anonymous session of the framework's is nobody to this API.
    const visitor = await (await fetch(`${origin}/auth/anonymous`, { method: "POST" })).json();
    await refused("GET /user", { token: visitor.access }, 401, MISSING);
    const answer = await send("GET /user", {});
    assert.equal(answer.headers.get("www-authenticate"), "Token");
  });

  await t.step("somebody changes what they say about themselves", async () => {
    const change = async (user: Record<string, unknown>) => {
      const { status, body } = await send("PUT /user", { token: ada, json: { user } });
      assert.equal(status, 200, JSON.stringify(body));
      return body.user;
    };
    assert.equal((await change({ bio: "Counts", image: "https://a.test/a.png" })).bio, "Counts");
    const kept = await change({ token: "forged", id: 1 });
    assert.deepEqual([kept.token, kept.image], [ada, "https://a.test/a.png"]);
    const emptied = await change({ bio: "", image: null });
    assert.deepEqual([emptied.bio, emptied.image], [null, null]);
    assert.equal((await change({ username: names.ada })).username, names.ada);
    for (const name of ["username", "email", "password"]) {
      for (const value of ["", null]) {
        await refused("PUT /user", { token: ada, json: { user: { [name]: value } } }, 422, {
          [name]: BLANK,
        });
      }
    }
    const put = (user: Record<string, unknown>, errors: Record<string, string>) =>
      refused("PUT /user", { token: ada, json: { user } }, 422, errors);
    await put({ username: names.bob }, { username: TAKEN });
    await put({ email: `${names.bob}@test.com` }, { email: TAKEN });
    await put({ email: "nobody" }, { email: "is invalid" });
    await put({ password: "short" }, { password: "is too short (minimum is 8 characters)" });
  });

  await t.step("another address and another password are those one signs in with", async () => {
    const email = `other_${uid}@test.com`;
    const password = "another horse battery";
    const other = (await send("POST /users/login", {
      json: { user: { email: `${names.ada}@test.com`, password: PASSWORD } },
    })).body.user.token;
    const changed = await send("PUT /user", { token: ada, json: { user: { email, password } } });
    assert.deepEqual([changed.status, changed.body.user.email], [200, email]);
    ada = changed.body.user.token;
    assert.equal((await send("GET /user", { token: ada })).body.user.email, email);
    await refused("GET /user", { token: other }, 401, MISSING);
    const old = { email: `${names.ada}@test.com`, password: PASSWORD };
    await refused("POST /users/login", { json: { user: old } }, 401, { credentials: "invalid" });
    const again = await send("POST /users/login", { json: { user: { email, password } } });
    assert.equal(again.status, 200);
  });

  await t.step("people follow each other, as often as they like", async () => {
    const path = `/profiles/${names.bob}`;
    const following = async (address: string, token?: string): Promise<boolean> => {
      const { status, body } = await send(address, token === undefined ? {} : { token });
      assert.deepEqual([status, body.profile.username], [200, names.bob]);
      return body.profile.following;
    };
    assert.equal(await following(`GET ${path}`), false);
    assert.equal(await following(`POST ${path}/follow`, ada), true);
    assert.equal(await following(`POST ${path}/follow`, ada), true);
    assert.equal(await following(`GET ${path}`, ada), true);
    assert.equal(await following(`GET ${path}`), false);
    assert.equal(await following(`DELETE ${path}/follow`, ada), false);
    assert.equal(await following(`DELETE ${path}/follow`, ada), false);
    await refused(`GET ${path}`, { token: "abc" }, 401, MISSING);
    const none = { profile: "not found" };
    await refused(`GET /profiles/none_${uid}`, {}, 404, none);
    await refused(`POST /profiles/none_${uid}/follow`, { token: ada }, 404, none);
    await refused(`DELETE /profiles/none_${uid}/follow`, { token: ada }, 404, none);
  });

  const tag = `tag_${uid}`;
  const draft = { title: `On Paths ${uid}`, description: "Short.", body: "Long." };
  const write = async (token: string, change: Record<string, unknown> = {}): Promise<Article> => {
    const article = { ...draft, ...change };
    const { status, body } = await send("POST /articles", { token, json: { article } });
    assert.equal(status, 201, JSON.stringify(body));
    return body.article;
  };
  let slug = "";

  await t.step("an article is written, read and changed", async () => {
    const made = await write(ada, { tagList: [tag, "b", "a", "b"], author: "forged", slug: "x" });
    slug = made.slug;
    assert.equal(slug, `on-paths-${uid}`);
    assert.deepEqual(made.tagList, [tag, "b", "a"]);
    assert.deepEqual(made.author, {
      ...{ username: names.ada, bio: null, image: null, following: false },
    });
    assert.deepEqual((await send(`GET /articles/${slug}`)).body.article, made);
    const put = (article: unknown) =>
      send(`PUT /articles/${slug}`, { token: ada, json: { article } });
    const changed =
      (await put({ body: "Longer.", createdAt: "2000-01-01T00:00:00Z" })).body.article;
    assert.deepEqual([changed.body, changed.slug, changed.tagList], [
      ...["Longer.", slug, [tag, "b", "a"]],
    ]);
    assert.equal(changed.createdAt, made.createdAt);
    assert.ok(changed.updatedAt > made.updatedAt);
    assert.deepEqual((await put({ title: "Other", tagList: [tag] })).body.article.tagList, [tag]);
    assert.equal((await send(`GET /articles/${slug}`)).body.article.title, "Other");
    for (const [tagList, problem] of [[null, "must be an array"], [[1], "must be a string"]]) {
      await refused(`PUT /articles/${slug}`, { token: ada, json: { article: { tagList } } }, 422, {
        tagList: String(problem),
      });
    }
    for (const name of ["title", "description", "body"]) {
      for (const nothing of [" ", null]) {
        const blank = { json: { article: { ...draft, [name]: nothing } } };
        await refused("POST /articles", { token: ada, ...blank }, 422, { [name]: BLANK });
        await refused(`PUT /articles/${slug}`, { token: ada, ...blank }, 422, { [name]: BLANK });
      }
    }
  });

  await t.step(
    "articles of one title have addresses of their own, and none is the feed's",
    async () => {
      const titles = await Promise.all([1, 2, 3].map(() => write(bob, { title: `Twice ${uid}` })));
      assert.equal(new Set(titles.map((one) => one.slug)).size, 3);
      const feed = await write(bob, { title: "Feed" });
      assert.notEqual(feed.slug, "feed");
      assert.equal((await send(`GET /articles/${feed.slug}`)).body.article.title, "Feed");
      const odd = await write(bob, { title: "¿Über?" });
      assert.match(odd.slug, /^uber/);
      for (const one of [...titles, feed, odd, await write(bob, { title: "!?" })]) {
        assert.equal((await send(`DELETE /articles/${one.slug}`, { token: bob })).status, 204);
      }
    },
  );

  await t.step("only its author changes or removes an article", async () => {
    const json = { article: { body: "Mine." } };
    await refused(`PUT /articles/${slug}`, { token: bob, json }, 403, { article: "forbidden" });
    await refused(`DELETE /articles/${slug}`, { token: bob }, 403, { article: "forbidden" });
    const none = { article: "not found" };
    await refused(`GET /articles/none_${uid}`, {}, 404, none);
    await refused(`PUT /articles/none_${uid}`, { token: ada, json }, 404, none);
    await refused(`DELETE /articles/none_${uid}`, { token: ada }, 404, none);
    await refused(`POST /articles/none_${uid}/favorite`, { token: ada }, 404, none);
    await refused(`DELETE /articles/none_${uid}/favorite`, { token: ada }, 404, none);
    assert.equal((await send(`GET /articles/${slug}`)).body.article.body, "Longer.");
  });

  await t.step("people like an article once each", async () => {
    const path = `/articles/${slug}/favorite`;
    const liked = async (address: string, token?: string) => {
      const { article } = (await send(address, token === undefined ? {} : { token })).body;
      return [article.favorited, article.favoritesCount];
    };
    assert.deepEqual(await liked(`POST ${path}`, bob), [true, 1]);
    assert.deepEqual(await liked(`POST ${path}`, bob), [true, 1]);
    assert.deepEqual(await liked(`POST ${path}`, ada), [true, 2]);
    assert.deepEqual(await liked(`DELETE ${path}`, ada), [false, 1]);
    assert.deepEqual(await liked(`DELETE ${path}`, ada), [false, 1]);
    assert.deepEqual(await liked(`GET /articles/${slug}`), [false, 1]);
    assert.deepEqual(await liked(`GET /articles/${slug}`, bob), [true, 1]);
  });

  await t.step("lists are filtered, paged, and the newest come first", async () => {
    const second = await write(bob, { title: `Second ${uid}`, tagList: [tag] });
    const list = async (query: string, token?: string) => {
      const asked = token === undefined ? {} : { token };
      const { articles, articlesCount } = (await send(`GET /articles${query}`, asked)).body;
      assert.ok(articles.every((one) => one.body === undefined), "a list has no bodies");
      return { slugs: articles.map((one) => one.slug), articlesCount, articles };
    };
    const both = [second.slug, slug];
    const { slugs, articlesCount } = await list(`?tag=${tag}`);
    assert.deepEqual([slugs, articlesCount], [both, 2]);
    const first = await list(`?tag=${tag}&limit=1`);
    assert.deepEqual([first.slugs, first.articlesCount], [[second.slug], 2]);
    const next = await list(`?tag=${tag}&limit=1&offset=1&unknown=1`);
    assert.deepEqual([next.slugs, next.articlesCount], [[slug], 2]);
    const behind = await list(`?tag=${tag}&offset=2`);
    assert.deepEqual([behind.slugs, behind.articlesCount], [[], 2]);
    assert.deepEqual((await list(`?author=${names.ada}`)).slugs, [slug]);
    assert.deepEqual((await list(`?favorited=${names.bob}`)).slugs, [slug]);
    assert.deepEqual((await list(`?author=none_${uid}`)).articlesCount, 0);
    assert.deepEqual((await list(`?tag=${tag}&author=${names.bob}`)).slugs, [second.slug]);
    const seen = (await list(`?author=${names.ada}`, bob)).articles[0];
    assert.deepEqual([seen?.favorited, seen?.favoritesCount], [true, 1]);
    assert.ok((await list("")).slugs.length >= 2);
    for (const query of ["limit=0", "limit=-1", "limit=x", "limit=1.5", "offset=-1"]) {
      const name = query.split("=")[0]!;
      const { status, body } = await send(`GET /articles?${query}`);
      assert.deepEqual([status, Object.keys(body.errors)], [422, [name]], query);
    }
    for (const address of [`GET /articles?author=a%00b`, "GET /articles/a%00b"]) {
      const { status, body } = await send(address);
      assert.equal(status, 422);
      assert.ok(!JSON.stringify(body).includes("src/"), "nobody learns where a query stands");
    }
    assert.ok((await send("GET /tags")).body.tags.includes(tag));

    const feed = async (query = "") =>
      (await send(`GET /articles/feed${query}`, { token: ada })).body;
    assert.deepEqual(await feed(), { articles: [], articlesCount: 0 });
    await send(`POST /profiles/${names.bob}/follow`, { token: ada });
    const { articles, articlesCount: all } = await feed("?limit=1");
    assert.deepEqual([articles[0]?.slug, articles[0]?.author.following, all], [
      second.slug,
      true,
      1,
    ]);
    assert.deepEqual((await feed("?offset=1")).articlesCount, 1);
    assert.equal((await send(`DELETE /articles/${second.slug}`, { token: bob })).status, 204);
  });

  await t.step("people talk about an article, and take back only what they said", async () => {
    const path = `/articles/${slug}/comments`;
    const say = async (token: string, body: string): Promise<Comment> => {
      const answer = await send(`POST ${path}`, { token, json: { comment: { body } } });
      assert.equal(answer.status, 201);
      return answer.body.comment;
    };
    const list = async (token?: string) =>
      (await send(`GET ${path}`, token === undefined ? {} : { token })).body.comments;
    assert.deepEqual(await list(), []);
    const one = await say(bob, "So?");
    const two = await say(ada, "<b>Well</b>");
    assert.ok(Number.isSafeInteger(one.id) && one.id !== two.id);
    const said = new Map((await list()).map(({ id, body }) => [id, body]));
    assert.deepEqual(said, new Map([[one.id, "So?"], [two.id, "<b>Well</b>"]]));
    const of = (all: readonly Comment[]) => all.find(({ id }) => id === one.id)?.author.following;
    assert.deepEqual([of(await list()), of(await list(ada))], [false, true]);
    await refused(`POST ${path}`, { token: ada, json: { comment: { body: "" } } }, 422, {
      body: BLANK,
    });
    await refused(`DELETE ${path}/${one.id}`, { token: ada }, 403, { comment: "forbidden" });
    await refused(`DELETE ${path}/1`, { token: ada }, 404, { comment: "not found" });
    await refused(`DELETE ${path}/x`, { token: ada }, 422, { id: "must be a number" });
    const none = { article: "not found" };
    const json = { comment: { body: "Hello?" } };
    await refused(`GET /articles/none_${uid}/comments`, {}, 404, none);
    await refused(`POST /articles/none_${uid}/comments`, { token: ada, json }, 404, none);
    await refused(`DELETE /articles/none_${uid}/comments/${one.id}`, { token: bob }, 404, none);
    assert.equal((await send(`DELETE ${path}/${one.id}`, { token: bob })).status, 204);
    assert.deepEqual((await list()).map(({ id }) => id), [two.id]);
  });

  await t.step("with an article goes what was said about it, and its tags", async () => {
    assert.equal((await send(`DELETE /articles/${slug}`, { token: ada })).status, 204);
    await refused(`GET /articles/${slug}`, {}, 404, { article: "not found" });
    await refused(`GET /articles/${slug}/comments`, {}, 404, { article: "not found" });
    assert.ok(!(await send("GET /tags")).body.tags.includes(tag));
    const again = await write(ada);
    assert.deepEqual([again.slug, again.favoritesCount], [slug, 0]);
    assert.deepEqual((await send(`GET /articles/${slug}/comments`)).body.comments, []);
    assert.equal((await send(`DELETE /articles/${slug}`, { token: ada })).status, 204);
  });

  await t.step(
    "what is no address of the API is told in its form, whatever the method",
    async () => {
      for (
        const address of [
          "GET /none",
          "POST /none",
          "GET /articles/",
          "DELETE /articles/a/b",
          "GET /",
        ]
      ) {
        const [method = "", path = ""] = address.split(" ");
        const response = await fetch(`${origin}/api${path}`, { method });
        assert.deepEqual([response.status, await response.json()], [
          ...[404, { errors: { path: ["not found"] } }],
        ], address);
      }
      const page = await fetch(`${origin}/api/none`, { headers: { accept: "text/html,*/*" } });
      assert.match(await page.text(), /<!doctype html>/);
    },
  );

  await t.step("no operation of the contract was left out", () => {
    if (contract === null) return;
    assert.deepEqual([...contract.seen].sort(), contract.operations.toSorted());
  });
}
