import { join } from 'node:path';

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** Where things are in the folder of the file store. The named folders are no pair of hex digits. */
export interface ContentLayout {
  readonly dir: string;
  /** Temporary files of writes under way. */
  readonly incoming: string;
  /** Files whose bytes did not hash to their name. */
  readonly quarantine: string;
  /** Records of CIDs. */
  readonly cids: string;
}

/** The layout under `dir`. */
export function layoutOf(dir: string): ContentLayout {
  return { dir, incoming: join(dir, 'incoming'), quarantine: join(dir, 'quarantine'), cids: join(dir, 'cids') };
}

/** The path of a file; undefined for any name but a SHA-256, so that no hash can point out of the folder. */
export function pathIn(layout: ContentLayout, fileHash: string): string | undefined {
  return SHA256_HEX.test(fileHash) ? join(layout.dir, fileHash.slice(0, 2), fileHash) : undefined;
}
