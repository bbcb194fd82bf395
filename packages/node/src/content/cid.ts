import type { FileHash } from '@vmlet/messages';
import { base58btc } from 'multiformats/bases/base58';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';

/** Multicodec of dag-pb, the only codec whose CIDs name content of messages. */
const DAG_PB = 0x70;
const SHA2_256 = 0x12;
const SHA256_LENGTH = 32;
const CID_FORM = /^(?:Qm[1-9A-HJ-NP-Za-km-z]{44}|bafy[a-z2-7]{55})$/;

/** The CIDv0 of a dag-pb block by its SHA-256. */
export function cidOfDigest(sha256: Uint8Array): FileHash {
  return CID.createV0(Digest.create(SHA2_256, sha256)).toString(base58btc.encoder) as FileHash;
}

/**
 * A CID in its one form that files are kept by here: version 0. A CIDv1 of the same dag-pb block names the same bytes.
 * Undefined for whatever is no CID of a dag-pb block by SHA-256.
 */
export function canonicalCid(name: string): FileHash | undefined {
  // Before it is parsed: names come from anyone.
  if (!CID_FORM.test(name)) return undefined;
  try {
    return canonical(CID.parse(name));
  } catch {
    return undefined;
  }
}

/** The canonical form of a CID that was read from bytes; undefined if no message can name it. */
export function canonical(cid: CID): FileHash | undefined {
  const { code, size } = cid.multihash;
  if (cid.code !== DAG_PB || code !== SHA2_256 || size !== SHA256_LENGTH) return undefined;
  return cidOfDigest(cid.multihash.digest);
}

/** All names by which messages may mean a CID in its canonical form. */
export function namesOfCid(cid: FileHash): FileHash[] {
  return [cid, CID.parse(cid).toV1().toString() as FileHash];
}
