import { z } from 'zod';
import { deadline } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Machine } from '../machines/index.ts';
import { outputOf } from './guest-command.ts';
import { bootImage, type ImageOptions, SURVEY } from './image-machine.ts';

const wholeSchema = z.object({
  kind: z.literal('whole'),
  entries: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});
const failedSchema = z.object({ kind: z.literal('failed'), path: z.string(), found: z.string() });

export interface TreeOptions extends ImageOptions {
  /** Of the archive, in bytes: an image of more is refused. */
  maxBytes: number;
  /** For all of it, in milliseconds. */
  deadlineMs: number;
}

/**
 * All files of an image as a tar archive (pax), read by a guest: owners, modes, times, links, hard links, devices and
 * extended attributes; sorted, so that one image gives the same bytes each time. It comes to its end if, and only if,
 * the archive is whole. Whoever reads it MUST take it for hostile.
 * @throws VmletError `IMAGE_UNREADABLE`, why the machine did not start or ended; the signal's reason
 */
export async function* readTree(imagePath: string, options: TreeOptions): AsyncGenerator<Buffer> {
  using limit = deadline(options.deadlineMs, options.signal);
  await using booted = await bootImage(imagePath, { ...options, signal: limit.signal });
  yield* archiveFrom(booted.machine, { imagePath, maxBytes: options.maxBytes, signal: limit.signal });
}

/** The archive that a machine's survey makes of its image. @throws as {@link readTree} does */
export async function* archiveFrom(
  machine: Pick<Machine, 'id' | 'openSession'>,
  { imagePath, maxBytes, signal }: { imagePath: string; maxBytes: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const output = outputOf(machine, [SURVEY, 'tar', String(maxBytes)], { signal });
  let sizeBytes = 0;
  try {
    for (;;) {
      const next = await output.next();
      if (next.done) {
        checkWhole(imagePath, { ...next.value, sizeBytes });
        return;
      }
      sizeBytes += next.value.length;
      if (sizeBytes > maxBytes) throw unreadable(imagePath, `more than ${maxBytes} bytes`);
      yield next.value;
    }
  } finally {
    await output.return({ status: -1, stderr: '' });
  }
}

/** The guest has to say that it was all, and how much that was: a stream that only ends may have been cut. */
function checkWhole(path: string, end: { status: number; stderr: string; sizeBytes: number }): void {
  const said = parseLast(end.stderr);
  const whole = wholeSchema.safeParse(said).data;
  if (end.status === 0 && whole !== undefined && whole.bytes === end.sizeBytes) return;
  const failed = failedSchema.safeParse(said).data;
  if (failed) throw unreadable(path, failed.path === '' ? failed.found : `${failed.found} ("${failed.path}")`);
  throw unreadable(path, `${end.sizeBytes} bytes of an archive that is not whole (exit status ${end.status})`);
}

function parseLast(stderr: string): unknown {
  try {
    return JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
  } catch {
    // What says nothing has not said that it was whole.
    return undefined;
  }
}

function unreadable(path: string, found: string): VmletError {
  return new VmletError('IMAGE_UNREADABLE', { operands: { path, found } });
}
