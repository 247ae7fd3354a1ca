/** The very same sealed request, posted to two gateways many times at once. */
import assert from "node:assert/strict";
import { AUTH_TABLES } from "../auth/tables.ts";
import { readAnswer as openAnswer, sealRequest } from "../protocol/client_body.ts";
import { decodeValue, encodeValue } from "../protocol/codec/mod.ts";
import { loadProvider } from "../protocol/crypto/select.ts";
import { FrameType } from "../protocol/frames.ts";
import { HttpChannel } from "../protocol/http_channel.ts";
import { deriveServerKeys } from "../protocol/mod.ts";
import { decodeWireError } from "../protocol/wire_error.ts";
import { testDatabase } from "../tests/postgres.ts";
import { createServer } from "./deno/mod.ts";
import { NOTES, NOTES_APP } from "./testing/notes_app.ts";
import { ORIGIN, readAnswer } from "./testing/notes_server.ts";

Deno.test("duplicates of a mutation that meet at two gateways have one effect and one answer", async () => {
  await using stack = new AsyncDisposableStack();
  const database = await testDatabase([...AUTH_TABLES, NOTES]);
  stack.defer(() => database.close());
  const state = await Deno.makeTempDir({ prefix: "kontract_duplicates_" });
  stack.defer(() => Deno.remove(state, { recursive: true }));
  const settings: Record<string, string> = {
    DATABASE_URL: database.gatewayUrl,
    KONTRACT_SECRET: database.secrets.map((each) => each.toBase64({ alphabet: "base64url" }))
      .join(),
    KONTRACT_STATE_DIR: state,
  };
  const options = { env: (name: string) => settings[name], public: null, logSink: () => {} };
  // Two processes as far as anything here can tell: they share the database and the folder.
  const gateways = [createServer(NOTES_APP, options), createServer(NOTES_APP, options)] as const;
  for (const gateway of gateways) stack.defer(() => gateway.close());
  const json = async (
    path: string,
    args: readonly unknown[] | null,
    token = "",
  ): Promise<Response> =>
    await gateways[0].fetch(
      new Request(`${ORIGIN}${path}`, {
        method: "POST",
        headers: token === "" ? {} : { authorization: `Bearer ${token}` },
        body: args && JSON.stringify(args),
      }),
    );
  const { access } = await (await json("/auth/anonymous", null)).json();
  await readAnswer(await json("/rpc/add", ["n1", ""], access));

  const { pins } = await deriveServerKeys(database.secrets);
  const { signal } = new AbortController();
  const channel = new HttpChannel({
    ...{ url: ORIGIN, app: "notes", pins },
    fetch: (input, init) => gateways[0].fetch(new Request(input, init)),
  }, signal);
  const session = await channel.session(signal);
  const provider = await loadProvider();
  const { op } = NOTES_APP.routes.find(({ name }) => name === "append")!;
  const lane = crypto.getRandomValues(new Uint8Array(8));
  const headers = { "content-type": "application/raystream" };
  let text = "";
  for (let reqno = 0n; reqno < 4n; reqno++) {
    const calls = [{ op, payload: encodeValue(["n1", "x"]) }];
    const sealed = sealRequest(provider, session, { token: access, lane, reqno, calls });
    const answers = await Promise.all(Array.from({ length: 12 }, async (_, n) => {
      const init = { method: "POST", headers, body: sealed.body };
      const response = await gateways[n % 2]!.fetch(new Request(`${ORIGIN}/raystream`, init));
      const [message] = (await Array.fromAsync(openAnswer(sealed.answer(), response))).flat();
      const { type, payload } = message!;
      return type === FrameType.RPC_ERROR ? decodeWireError(payload).code : decodeValue(payload);
    }));
    text += "x";
    assert.deepEqual(answers, Array(12).fill(text));
    const { result } = await readAnswer(await json("/rpc/read", ["n1"], access));
    assert.equal((result as { text: string }).text, text);
  }
});
