/**
 * Every combination of key agreement and AEAD that exists here. For tests only.
 *
 * @module
 */
import { nobleDh } from "../crypto/noble_dh.ts";
import { nobleSymmetric } from "../crypto/noble_symmetric.ts";
import { nodeDh, type NodeKeys } from "../crypto/node_dh.ts";
import { findNodeCrypto, nodeSymmetric } from "../crypto/node_symmetric.ts";
import type { CryptoProvider, Symmetric } from "../crypto/provider.ts";
import { bySize } from "../crypto/native.ts";
import { webDh } from "../crypto/web_dh.ts";

/** Key agreement of all three, each with node, noble and mixed AEAD. */
export function allProviders(): readonly CryptoProvider[] {
  const node = findNodeCrypto();
  if (node === null) throw new Error("node:crypto is missing here: the tests need it");
  const native = nodeSymmetric(node);
  const symmetric: readonly Symmetric[] = [native, nobleSymmetric, bySize(nobleSymmetric, native)];
  const keys = nodeDh(node as NodeKeys);
  return [webDh, keys, nobleDh].flatMap((dh) => symmetric.map((part) => ({ ...dh, ...part })));
}

/** A provider's name in a test's title. */
export function nameOf(provider: CryptoProvider): string {
  return `${provider.dhName}/${provider.symmetricName}`;
}
