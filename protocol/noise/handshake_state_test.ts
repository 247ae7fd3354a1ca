import assert from "node:assert/strict";
import { KontractError } from "../../_internal/errors.ts";
import { EMPTY, randomBytes, utf8 } from "../bytes.ts";
import type { DhKeyPair } from "../crypto/provider.ts";
import { allProviders } from "../testing/providers.ts";
import { hex } from "../testing/vectors.ts";
import { CipherState } from "./cipher_state.ts";
import { HandshakeState } from "./handshake_state.ts";
import { NK } from "./patterns.ts";

const isProtocol = (error: unknown): boolean =>
  error instanceof KontractError && error.code === "RAY_PROTOCOL";

const [crypto] = allProviders();
assert.ok(crypto !== undefined);

async function pair(prologues: readonly [string, string] = ["p", "p"]): Promise<{
  initiator: HandshakeState;
  responder: HandshakeState;
  localStatic: DhKeyPair;
}> {
  assert.ok(crypto !== undefined);
  const localStatic = await crypto.generate();
  return {
    localStatic,
    initiator: new HandshakeState({
      crypto,
      pattern: NK,
      prologue: utf8(prologues[0]),
      party: { role: "initiator", remoteStatic: localStatic.publicKey },
    }),
    responder: new HandshakeState({
      crypto,
      pattern: NK,
      prologue: utf8(prologues[1]),
      party: { role: "responder", localStatic },
    }),
  };
}

Deno.test("a handshake whose prologues differ fails, and the failure is final", async () => {
  const { initiator, responder } = await pair(["one", "two"]);
  const message = await initiator.writeMessage(EMPTY);
  await assert.rejects(responder.readMessage(message), isProtocol);
  await assert.rejects(responder.readMessage(message), isProtocol);
  await assert.rejects(responder.writeMessage(EMPTY), isProtocol);
  assert.throws(() => responder.finish(), isProtocol);
});

Deno.test("any flipped bit of either message ends the handshake", async () => {
  for (let bit = 0; bit < 48 * 8; bit += 7) {
    const { initiator, responder } = await pair();
    const message = await initiator.writeMessage(EMPTY);
    message[bit >> 3] = (message[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    // Bit 255 of the ephemeral is ignored by X25519 but hashed, so it fails as well.
    await assert.rejects(responder.readMessage(message), isProtocol, `message 1, bit ${bit}`);
  }
  for (let bit = 0; bit < 48 * 8; bit += 7) {
    const { initiator, responder } = await pair();
    await responder.readMessage(await initiator.writeMessage(EMPTY));
    const message = await responder.writeMessage(EMPTY);
    message[bit >> 3] = (message[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await assert.rejects(initiator.readMessage(message), isProtocol, `message 2, bit ${bit}`);
  }
});

Deno.test("short messages and low-order points end the handshake like anything else", async () => {
  for (const length of [0, 1, 31, 32, 47]) {
    const { responder } = await pair();
    await assert.rejects(responder.readMessage(new Uint8Array(length)), isProtocol);
  }
  const lowOrder = [
    new Uint8Array(32),
    hex("0100000000000000000000000000000000000000000000000000000000000000"),
    hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
  ];
  for (const point of lowOrder) {
    const { responder } = await pair();
    const message = new Uint8Array(48);
    message.set(point);
    await assert.rejects(responder.readMessage(message), isProtocol);
  }
});

Deno.test("messages out of turn are refused", async () => {
  const { initiator, responder } = await pair();
  assert.throws(() => initiator.finish(), isProtocol);
  await assert.rejects(responder.writeMessage(EMPTY), isProtocol);
  const again = await pair();
  const message = await again.initiator.writeMessage(EMPTY);
  await assert.rejects(again.initiator.writeMessage(EMPTY), isProtocol);
  await assert.rejects(again.initiator.readMessage(message), isProtocol);
});

Deno.test("a cipher state never reuses a nonce", () => {
  assert.ok(crypto !== undefined);
  const key = randomBytes(32);
  const [sender, receiver] = [new CipherState(crypto, key), new CipherState(crypto, key)];
  const first = sender.encryptWithAd(EMPTY, utf8("same"));
  const second = sender.encryptWithAd(EMPTY, utf8("same"));
  assert.notDeepEqual(first, second);
  assert.throws(() => receiver.decryptWithAd(EMPTY, second), isProtocol);
  assert.deepEqual(receiver.decryptWithAd(EMPTY, first), utf8("same"));
  assert.throws(() => receiver.decryptWithAd(EMPTY, first), isProtocol);
  assert.deepEqual(receiver.decryptWithAd(EMPTY, second), utf8("same"));
});
