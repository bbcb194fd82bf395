import { readFile } from 'node:fs/promises';
import { VmletError } from '../errors.ts';
import { writeFileAtomic } from '../store/index.ts';
import { ownerKey } from './caps.ts';

/** Of the file: some hundred thousand entries. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
/** An address, an item_hash or a file_hash: visible, without what ends or comments a line. */
const ENTRY = /^[\x21\x22\x24-\x7e]{1,128}$/;

/** One line of a block list. */
export interface BlockEntry {
  /** An address, an item_hash or a file_hash. */
  readonly what: string;
  /** Why, for the operator: it is told to nobody else. Empty if none was given. */
  readonly reason: string;
}

export interface BlockListOptions {
  /** A text file: an entry a line, `#` before a reason. It need not exist. */
  path: string;
}

/**
 * Who and what this node has nothing to do with, whatever the other rules allow: addresses, messages by item_hash,
 * files by file_hash. It is read at the start and when told to, and written by {@link BlockList.add} and `remove` only.
 */
export class BlockList {
  readonly #path: string;
  readonly #listeners = new Set<() => void>();
  #entries: BlockEntry[] = [];
  /** Of the entries, in the form they are looked up by. */
  #keys = new Set<string>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws VmletError `BLOCK_LIST_UNREADABLE` */
  static async open({ path }: BlockListOptions): Promise<BlockList> {
    const list = new BlockList(path);
    list.#set(await readEntries(path));
    return list;
  }

  get entries(): readonly BlockEntry[] {
    return this.#entries;
  }

  /** The first of these that is blocked; undefined if none is. */
  find(whats: Iterable<string | undefined>): string | undefined {
    if (this.#keys.size === 0) return undefined;
    for (const what of whats) if (what !== undefined && this.#keys.has(ownerKey(what))) return what;
    return undefined;
  }

  /**
   * Reads the file again.
   * @throws VmletError `BLOCK_LIST_UNREADABLE`; then the entries stay as they were
   */
  async reload(): Promise<void> {
    await this.#inOrder(async () => this.#change(await readEntries(this.#path)));
  }

  /**
   * Adds an entry to the file; one that is there already gets the new reason.
   * @throws VmletError `BLOCK_ENTRY_MALFORMED`, `BLOCK_LIST_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  async add({ what, reason }: BlockEntry): Promise<void> {
    if (!ENTRY.test(what)) throw new VmletError('BLOCK_ENTRY_MALFORMED', { operands: { found: what.slice(0, 128) } });
    const line = { what, reason: reason.replace(/\s+/g, ' ').trim() };
    await this.#edit((entries) => [...entries.filter((one) => ownerKey(one.what) !== ownerKey(what)), line]);
  }

  /**
   * Takes an entry out of the file.
   * @returns false if there was none
   * @throws VmletError `BLOCK_LIST_UNREADABLE`, `STORAGE_FULL`, `STORAGE_FAILED`
   */
  async remove(what: string): Promise<boolean> {
    let found = false;
    await this.#edit((entries) => {
      const left = entries.filter((one) => ownerKey(one.what) !== ownerKey(what));
      found = left.length < entries.length;
      return left;
    });
    return found;
  }

  /** Calls `listener` after each change. The answer ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** On what the file has now: somebody may have edited it by hand. */
  async #edit(change: (entries: BlockEntry[]) => BlockEntry[]): Promise<void> {
    await this.#inOrder(async () => {
      const entries = change(await readEntries(this.#path));
      const lines = entries.map(({ what, reason }) => (reason === '' ? what : `${what} # ${reason}`));
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      await writeFileAtomic(this.#path, { bytes, mode: 0o600 });
      this.#change(entries);
    });
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(step);
    // Whoever asked for this step hears of its failure; the next one begins all the same.
    this.#writing = done.catch(() => {});
    return done;
  }

  #change(entries: BlockEntry[]): void {
    this.#set(entries);
    for (const listener of [...this.#listeners]) listener();
  }

  #set(entries: BlockEntry[]): void {
    this.#entries = entries;
    this.#keys = new Set(entries.map(({ what }) => ownerKey(what)));
  }
}

async function readEntries(path: string): Promise<BlockEntry[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw unreadable(path, { found: cause instanceof Error ? cause.message : String(cause), cause });
  }
  if (bytes.length > MAX_LIST_BYTES) throw unreadable(path, { found: `it is over ${MAX_LIST_BYTES} bytes long` });
  return bytes
    .toString('utf8')
    .split('\n')
    .flatMap((line, index) => {
      const [text = '', ...reason] = line.split('#');
      const what = text.trim();
      if (what === '') return [];
      if (!ENTRY.test(what)) throw unreadable(path, { found: `line ${index + 1} is no address and no hash` });
      return [{ what, reason: reason.join('#').trim() }];
    });
}

function unreadable(path: string, { found, cause }: { found: string; cause?: unknown }): VmletError {
  return new VmletError('BLOCK_LIST_UNREADABLE', { operands: { path, found }, cause });
}
