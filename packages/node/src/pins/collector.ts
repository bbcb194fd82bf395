import type { FileHash } from '@vmlet/messages';
import { type ContentStore, type KeptContent, namesOfCid } from '../content/index.ts';
import { idleTimer } from '../deadline.ts';
import type { Ledger } from '../ledger/index.ts';
import type { CodeImages } from '../runtimes/index.ts';
import type { FilePins } from './file-pins.ts';
import type { UnheldMarks } from './marks.ts';
import type { CollectionSummary } from './summary.ts';

/** How long a file is kept that nothing holds, from when that was noticed, or from its last upload. */
export const FILE_GRACE_MS = 24 * 60 * 60_000;
/** From the end of one collection to the next, unless somebody asks for one. */
const PERIOD_MS = 60 * 60_000;
/** What was asked for within this time stays: whoever asked may be about to name it in a message, or to run it. */
const IDLE_MS = 10 * 60_000;

/** What the collector looks at and removes. */
export interface CollectorComponents {
  content: Pick<ContentStore, 'files' | 'cids' | 'collect' | 'forgetCid' | 'find'>;
  pins: Pick<FilePins, 'isHeld' | 'givenUp'>;
  marks: UnheldMarks;
  ledger: Pick<Ledger, 'remove'>;
  codeImages: Pick<CodeImages, 'collect'>;
  /** The files that programs in force are made of, whatever messages say. */
  usedFiles: () => ReadonlySet<string>;
  /** In milliseconds; `FILE_GRACE_MS` unless given. */
  graceMs?: number | undefined;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** What was asked for within this time stays, in milliseconds; `IDLE_MS` unless given. */
  idleMs?: number;
  onError: (error: unknown) => void;
}

/**
 * Removes files that nothing has held for the grace, and code images of files that are gone. Whether a file is held is
 * asked again in the step that removes it, so that no message comes in between. Killed at any point it leaves nothing
 * that the next collection does not find: a mark of a file that is gone, or a name of bytes that are.
 */
export class Collector implements AsyncDisposable {
  readonly #components: CollectorComponents;
  readonly #stopping = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof idleTimer> | undefined;

  constructor(components: CollectorComponents) {
    this.#components = components;
  }

  /** Collects now and every hour, in the background. */
  start(): void {
    const timer = idleTimer(PERIOD_MS, () => this.#inBackground());
    this.#timer = timer;
    this.#inBackground();
  }

  /** Collects once those under way are done. With `dryRun` nothing is changed. */
  async run({ dryRun = false }: { dryRun?: boolean } = {}): Promise<CollectionSummary> {
    const before = this.#last;
    const own = (async () => {
      await before;
      return await new Collection(this.#components, { dryRun, signal: this.#stopping.signal }).run();
    })();
    // The next one does not care how this one ends; who asked for it does.
    this.#last = own.catch(() => {});
    return await own;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#stopping.abort();
    await this.#last;
  }

  #inBackground(): void {
    this.run()
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#components.onError(error);
      })
      .finally(() => {
        if (!this.#stopping.signal.aborted) this.#timer?.arm();
      });
  }
}

type Tally = { -readonly [K in keyof CollectionSummary]: CollectionSummary[K] };

/** One collection. */
class Collection {
  readonly #components: CollectorComponents;
  readonly #signal: AbortSignal;
  readonly #nowMs: number;
  readonly #graceMs: number;
  readonly #used: ReadonlySet<string>;
  readonly #tally: Tally;
  /** Files that are there. */
  readonly #present = new Set<FileHash>();
  /** The CIDs of each file. */
  readonly #cids = new Map<FileHash, FileHash[]>();

  constructor(components: CollectorComponents, { dryRun, signal }: { dryRun: boolean; signal: AbortSignal }) {
    this.#components = components;
    this.#signal = signal;
    this.#nowMs = (components.now ?? Date.now)();
    this.#graceMs = components.graceMs ?? FILE_GRACE_MS;
    this.#used = components.usedFiles();
    const none = {
      files: 0,
      freedBytes: 0,
      codeImages: 0,
      waitingFiles: 0,
      waitingBytes: 0,
      heldFiles: 0,
      heldBytes: 0,
    };
    this.#tally = { dryRun, ...none };
  }

  async run(): Promise<CollectionSummary> {
    const { content } = this.#components;
    for await (const { cid, fileHash } of content.cids()) {
      this.#signal.throwIfAborted();
      this.#cids.set(fileHash, [...(this.#cids.get(fileHash) ?? []), cid]);
    }
    for (const kept of await this.#look()) await this.#collect(kept);
    if (!this.#tally.dryRun) await this.#forgetGone();
    const images = await this.#components.codeImages.collect({
      dryRun: this.#tally.dryRun,
      isWanted: async (fileHash) => this.#used.has(fileHash) || (await content.find(fileHash)) !== undefined,
    });
    this.#tally.codeImages = images.count;
    this.#tally.freedBytes += images.bytes;
    return this.#tally;
  }

  /** Marks what has come to be unheld, clears what is held again, and gives what is due. */
  async #look(): Promise<KeptContent[]> {
    const { content, marks } = this.#components;
    const due: KeptContent[] = [];
    const mark: FileHash[] = [];
    const clear: FileHash[] = [];
    for await (const kept of content.files()) {
      this.#signal.throwIfAborted();
      const { fileHash, sizeBytes } = kept;
      this.#present.add(fileHash);
      const since = marks.since(fileHash);
      if (this.#isHeld(kept)) {
        this.#tally.heldFiles += 1;
        this.#tally.heldBytes += sizeBytes;
        if (since !== undefined) clear.push(fileHash);
        continue;
      }
      if (since === undefined) mark.push(fileHash);
      if (this.#isDue(kept, since ?? this.#nowMs)) due.push(kept);
      else this.#wait(sizeBytes);
    }
    if (!this.#tally.dryRun) marks.change({ mark, clear, nowMs: this.#nowMs });
    return due;
  }

  async #collect(kept: KeptContent): Promise<void> {
    this.#signal.throwIfAborted();
    const { content, pins, ledger } = this.#components;
    const { fileHash, sizeBytes } = kept;
    if (this.#tally.dryRun) return this.#count(sizeBytes);
    const idleSinceMs = Date.now() - Math.min(this.#components.idleMs ?? IDLE_MS, this.#graceMs);
    // What is being given up is gone before its file is: a message in force never names bytes that are not here.
    for (const itemHash of pins.givenUp(this.#namesOf(fileHash))) await ledger.remove(itemHash);
    const freedBytes = await content.collect(fileHash, {
      idleSinceMs,
      isHeld: (now) => this.#isHeld(now) || !this.#isDue(now, this.#components.marks.since(fileHash) ?? this.#nowMs),
    });
    if (freedBytes === undefined) return this.#wait(sizeBytes);
    this.#present.delete(fileHash);
    this.#count(freedBytes);
  }

  /** Marks and names of what is gone, by this collection or by one that was killed. */
  async #forgetGone(): Promise<void> {
    const { content, marks } = this.#components;
    const clear = marks.all().filter((fileHash) => !this.#present.has(fileHash));
    marks.change({ mark: [], clear, nowMs: this.#nowMs });
    for (const cid of [...this.#cids.values()].flat()) await content.forgetCid(cid);
  }

  #isHeld({ fileHash }: KeptContent): boolean {
    const names = this.#namesOf(fileHash);
    return names.some((name) => this.#used.has(name)) || this.#components.pins.isHeld(names);
  }

  #isDue({ storedMs }: KeptContent, sinceMs: number): boolean {
    return Math.max(storedMs, sinceMs) + this.#graceMs <= this.#nowMs;
  }

  #namesOf(fileHash: FileHash): FileHash[] {
    return [fileHash, ...(this.#cids.get(fileHash) ?? []).flatMap(namesOfCid)];
  }

  #wait(sizeBytes: number): void {
    this.#tally.waitingFiles += 1;
    this.#tally.waitingBytes += sizeBytes;
  }

  #count(sizeBytes: number): void {
    this.#tally.files += 1;
    this.#tally.freedBytes += sizeBytes;
  }
}
