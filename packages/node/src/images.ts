import { Readable } from 'node:stream';
import { ensureBootKit } from '@vmlet/guest';
import {
  type CheckImageOptions,
  type ClaimedFacts,
  checkImage as checkWith,
  describeImage,
  type ImageFacts,
  type ImageOptions,
  type RuntimeReport,
  readTree,
} from './checking/index.ts';
import { openCage } from './machines/cage/index.ts';
import { probeAccelerator } from './machines/index.ts';
import { openCache } from './store/index.ts';

export type { ClaimedFacts, ImageFacts, RuntimeReport } from './checking/index.ts';

/** From the start of a machine to its launcher, in milliseconds: emulation on a busy host takes its time. */
const KVM_BOOT_MS = 20_000;
const TCG_BOOT_MS = 120_000;
/** How long the files of an image may take to come out of it, in milliseconds. */
const TREE_DEADLINE_MS = 30 * 60_000;
/** Files of an image that is extended, as an archive. */
const MAX_TREE_BYTES = 16 * 1024 ** 3;

/** What an archive ends with: two blocks of zeros. */
const ARCHIVE_END_BYTES = 1024;

/** What machines of a command are made with, where no node need run. */
export interface ImagesOptions {
  /** `$VMLET_CACHE`. */
  cache: string;
  onProgress?: ((step: string, detail?: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Boots an image in machines of this process and judges it, as `vmlet runtime check` prints it.
 * @throws VmletError `QEMU_NOT_STARTED`, `BACKEND_UNUSABLE`; the signal's reason
 */
export async function checkImage(
  imagePath: string,
  options: ImagesOptions & { manifest?: ClaimedFacts | undefined },
): Promise<RuntimeReport> {
  const { manifest, onProgress } = options;
  const said: Pick<CheckImageOptions, 'manifest' | 'onProgress'> = { manifest, ...(onProgress ? { onProgress } : {}) };
  return await withMachines(options, (machines) => checkWith(imagePath, { ...machines, ...said }));
}

/**
 * What is in an image that was not built here, for its manifest: system, interpreters with paths and versions, packages.
 * A guest reads it; what comes back is bounded and otherwise anybody's.
 * @throws VmletError why it did not boot; the signal's reason
 */
export async function describeForeignImage(imagePath: string, options: ImagesOptions): Promise<ImageFacts> {
  return await withMachines(options, (machines) => describeImage(imagePath, machines));
}

/**
 * All files of an image as a tar archive, for who builds on it: owners by number, modes, times, links, hard links and
 * extended attributes, sorted. It ends if, and only if, it is whole; else it is destroyed with why. It is hostile. The
 * machine that reads the image is there until the stream has ended or was destroyed.
 * @throws by the stream: VmletError `IMAGE_UNREADABLE`, why the machine did not start or ended, the signal's reason
 */
export function streamTree(imagePath: string, options: ImagesOptions & { maxBytes?: number }): Readable {
  return Readable.from(heldBack(treeOf(imagePath, options)), { objectMode: false });
}

/**
 * Passes on all but the end of an archive as it comes, and that when everything else is done: who unpacks it never sees an
 * end before the archive is known to be whole, and may stop reading there.
 */
async function* heldBack(source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  for await (const chunk of source) {
    const all = Buffer.concat([held, chunk]);
    const cut = Math.max(0, all.length - ARCHIVE_END_BYTES);
    if (cut > 0) yield all.subarray(0, cut);
    held = all.subarray(cut);
  }
  yield held;
}

async function* treeOf(
  imagePath: string,
  { maxBytes = MAX_TREE_BYTES, ...options }: ImagesOptions & { maxBytes?: number },
): AsyncGenerator<Buffer> {
  await using machines = await openMachines(options);
  yield* readTree(imagePath, { ...machines.images, maxBytes, deadlineMs: TREE_DEADLINE_MS });
}

async function withMachines<T>(options: ImagesOptions, use: (images: ImageOptions) => Promise<T>): Promise<T> {
  await using machines = await openMachines(options);
  return await use(machines.images);
}

async function openMachines(options: ImagesOptions): Promise<AsyncDisposable & { images: ImageOptions }> {
  const { cache, onProgress, signal = new AbortController().signal } = options;
  await using stack = new AsyncDisposableStack();
  await openCache(cache);
  const progress = onProgress ? { onProgress } : {};
  const kit = await ensureBootKit({ cache, signal, ...progress });
  const namePrefix = `vmlet-check-${process.pid}-`;
  const cage = stack.use(await openCage({ name: `vmlet-check-${process.pid}`, homeId: '', cache, signal }));
  const { accelerator, tscKhz } = await probeAccelerator(kit, { cache, namePrefix, cage, signal, ...progress });
  const backend = { kit, accelerator, tscKhz, cage, namePrefix };
  const owned = stack.move();
  return {
    images: { backend, bootDeadlineMs: accelerator === 'kvm' ? KVM_BOOT_MS : TCG_BOOT_MS, signal },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
