import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Box } from '../box/index.ts';

const SOURCE = join(import.meta.dirname, 'steady.c');
const MKE2FS_CONFIG = join(import.meta.dirname, 'mke2fs.conf');
/** Compiled where it is used: it takes a quarter of a second, and nothing of it is left for another image. */
const SCRIPT = `
gcc -std=gnu11 -O2 -s -Wall -Wextra -Werror -fstack-protector-strong -shared -fPIC -fvisibility=hidden \\
  -o /tmp/steady.so /run/steady.c
exec env LD_PRELOAD=/tmp/steady.so "$@"
`;

/** What an image's bytes follow from, beside its tree and its recipe's `filesystem`. */
export interface Steadiness {
  /** The clock of the tool that makes it, in seconds since the epoch; no time in the image is later. */
  epochSeconds: number;
  /** The first of its UUIDs; others follow from it. */
  uuid: string;
}

/**
 * Runs a tool that makes a filesystem of a tree, with steady.c loaded into it: the same tree then gives the same bytes,
 * whatever folder, disk and moment it is in.
 * @throws CommandFailed
 */
export async function steadily(
  box: Pick<Box, 'run'>,
  argv: readonly string[],
  { epochSeconds, uuid, signal }: Steadiness & { signal: AbortSignal | undefined },
): Promise<void> {
  await box.run(['sh', '-euc', SCRIPT, 'sh', ...argv], {
    env: {
      STEADY_TIME: String(epochSeconds),
      STEADY_UUID: uuid,
      MKE2FS_CONFIG: '/run/mke2fs.conf',
      E2FSPROGS_FAKE_TIME: String(epochSeconds),
    },
    readOnly: { [SOURCE]: '/run/steady.c', [MKE2FS_CONFIG]: '/run/mke2fs.conf' },
    signal,
  });
}

/** A UUID (version 8) that follows from words: the first 16 bytes of the SHA-256 of them, joined by line feeds. */
export function uuidOf(...words: readonly string[]): string {
  const bytes = createHash('sha256').update(words.join('\n')).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
