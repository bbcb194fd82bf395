import { createHash } from 'node:crypto';
import { existsSync, unlinkSync } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { errnoOf, stageFile } from '../../store/index.ts';
import { canonicalCid } from '../cid.ts';
import type { ContentKind, VerifiedCid } from '../options.ts';
import { type ContentLayout, pathIn } from './layout.ts';

const MAGIC = 'vmlet-cid 1';
/** More than any record has. */
const MAX_RECORD_BYTES = 512;
const MODE = 0o444;

/** What a CID leads to. */
export interface CidRecord extends VerifiedCid {
  readonly fileHash: FileHash;
}

/**
 * Which bytes a CID names: one small file for each, `cids/<last two characters>/<CIDv0>`, of five lines: magic and
 * version, CID, SHA-256 of the bytes, kind, and the SHA-256 of the lines above. A record that does not match itself
 * counts as none.
 */
export class CidRecords {
  readonly #layout: ContentLayout;

  constructor(layout: ContentLayout) {
    this.#layout = layout;
  }

  /** By a CID in its canonical form. */
  async find(cid: FileHash): Promise<CidRecord | undefined> {
    try {
      await using handle = await open(this.#pathOf(cid), 'r');
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_RECORD_BYTES), 0, MAX_RECORD_BYTES, 0);
      return parse(buffer.toString('utf8', 0, bytesRead), cid);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Writes a record, whole or not at all, also where there is one: that may be damaged.
   * @throws VmletError `STORAGE_FULL`, `STORAGE_FAILED`
   */
  async write(record: CidRecord): Promise<void> {
    const source = (async function* () {
      yield Buffer.from(format(record));
    })();
    const options = { temporaryDir: this.#layout.incoming, name: record.cid, mode: MODE };
    await using staged = await stageFile(source, options);
    await staged.commit(this.#pathOf(record.cid));
  }

  async *all(): AsyncGenerator<CidRecord> {
    for (const folder of await namesIn(this.#layout.cids)) {
      for (const name of await namesIn(join(this.#layout.cids, folder))) {
        const cid = canonicalCid(name);
        const record = cid && (await this.find(cid));
        if (record !== undefined) yield record;
      }
    }
  }

  async remove(cid: FileHash): Promise<void> {
    await rm(this.#pathOf(cid), { force: true });
  }

  /** In one step, so that no bytes come between the look for them and the removal. */
  removeIfBytesAreGone({ cid, fileHash }: CidRecord): boolean {
    const bytes = pathIn(this.#layout, fileHash);
    const path = this.#pathOf(cid);
    if (bytes === undefined || existsSync(bytes) || !existsSync(path)) return false;
    unlinkSync(path);
    return true;
  }

  #pathOf(cid: FileHash): string {
    return join(this.#layout.cids, cid.slice(-2), cid);
  }
}

function format({ cid, fileHash, kind }: CidRecord): string {
  const lines = `${MAGIC}\n${cid}\n${fileHash}\n${kind}\n`;
  return `${lines}${checkOf(lines)}\n`;
}

function parse(text: string, cid: FileHash): CidRecord | undefined {
  const [, , fileHash = '', kind = ''] = text.split('\n');
  const record = { cid, fileHash: fileHash as FileHash, kind: kind as ContentKind };
  return text === format(record) ? record : undefined;
}

function checkOf(lines: string): string {
  return createHash('sha256').update(lines).digest('hex');
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
