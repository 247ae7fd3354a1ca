/**
 * NK against an independent implementation, npm `noise-c.wasm`, in both roles, with headers as associated
 * data of the transport messages.
 */
import assert from "node:assert/strict";
import createNoise from "noise-c.wasm";
import { randomBytes, utf8 } from "../bytes.ts";
import { allProviders, nameOf } from "../testing/providers.ts";
import { CipherState } from "./cipher_state.ts";
import { type HandshakeResult, HandshakeState } from "./handshake_state.ts";
import { NK } from "./patterns.ts";

interface PeerCipher {
  EncryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  DecryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

interface PeerHandshake {
  Initialize(
    prologue: Uint8Array | null,
    secret: Uint8Array | null,
    remote: Uint8Array | null,
  ): void;
  WriteMessage(payload?: Uint8Array): Uint8Array;
  ReadMessage(message: Uint8Array, payloadNeeded?: boolean): Uint8Array | undefined;
  Split(): [PeerCipher, PeerCipher];
}

interface Noise {
  readonly constants: Readonly<Record<string, number>>;
  HandshakeState(name: string, role: number | undefined): PeerHandshake;
}

function loadPeer(): Promise<Noise> {
  return new Promise((resolve) => (createNoise as (done: (noise: Noise) => void) => void)(resolve));
}

function exchange(ours: HandshakeResult, peer: PeerHandshake, initiator: boolean): void {
  const [provider] = allProviders();
  assert.ok(provider !== undefined);
  const send = new CipherState(provider, initiator ? ours.initiatorKey : ours.responderKey);
  const receive = new CipherState(provider, initiator ? ours.responderKey : ours.initiatorKey);
  const [peerSend, peerReceive] = peer.Split();
  for (let round = 0; round < 5; round++) {
    const [ad, text] = [randomBytes(16), randomBytes(round * 300)];
    assert.deepEqual(peerReceive.DecryptWithAd(ad, send.encryptWithAd(ad, text)), text);
    assert.deepEqual(receive.decryptWithAd(ad, peerSend.EncryptWithAd(ad, text)), text);
  }
  assert.throws(() =>
    receive.decryptWithAd(utf8("b"), peerSend.EncryptWithAd(utf8("a"), utf8("x")))
  );
}

const peer = loadPeer();

for (const crypto of allProviders()) {
  Deno.test(`${nameOf(crypto)}: NK with noise-c.wasm as responder and as initiator`, async () => {
    const noise = await peer;
    const { NOISE_ROLE_INITIATOR, NOISE_ROLE_RESPONDER } = noise.constants;
    const prologue = utf8("header and hello");
    const secret = randomBytes(32);
    const localStatic = await crypto.fromPrivate(secret);

    const initiator = new HandshakeState({
      ...{ crypto, pattern: NK, prologue },
      party: { role: "initiator", remoteStatic: localStatic.publicKey },
    });
    const peerResponder = noise.HandshakeState(NK.name, NOISE_ROLE_RESPONDER);
    peerResponder.Initialize(prologue, secret, null);
    assert.deepEqual(
      peerResponder.ReadMessage(await initiator.writeMessage(utf8("one")), true),
      utf8("one"),
    );
    assert.deepEqual(
      await initiator.readMessage(new Uint8Array(peerResponder.WriteMessage(utf8("two")))),
      utf8("two"),
    );
    exchange(initiator.finish(), peerResponder, true);

    const responder = new HandshakeState({
      ...{ crypto, pattern: NK, prologue },
      party: { role: "responder", localStatic },
    });
    const peerInitiator = noise.HandshakeState(NK.name, NOISE_ROLE_INITIATOR);
    peerInitiator.Initialize(prologue, null, localStatic.publicKey);
    const first = new Uint8Array(peerInitiator.WriteMessage(utf8("three")));
    assert.deepEqual(await responder.readMessage(first), utf8("three"));
    const second = await responder.writeMessage(utf8("four"));
    assert.deepEqual(peerInitiator.ReadMessage(second, true), utf8("four"));
    exchange(responder.finish(), peerInitiator, false);
  });
}
