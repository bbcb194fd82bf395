import { type MakeIn, SETTLED } from './make.ts';
import { steadily } from './steadily.ts';

const MIB = 1024 * 1024;
const MAX_LABEL_BYTES = 255;

/**
 * Makes a btrfs image as small as mkfs.btrfs makes one, or, by a second run that knows of the first's size, with
 * `freeMiB` beside. Metadata is kept once: what damages an image shows by its hash.
 * @throws CommandFailed
 */
export async function makeBtrfs({ box, tree, image, filesystem, label, uuid, epochSeconds, signal }: MakeIn) {
  const { freeMiB = 0 } = filesystem;
  const common = [
    ...['mkfs.btrfs', '--quiet', '--force', '--nodiscard', '--uuid', uuid, '--csum', 'crc32c'],
    ...['--data', 'single', '--metadata', 'single', '--nodesize', '16384', '--sectorsize', '4096'],
    ...['--features', 'extref,skinny-metadata,no-holes', '--runtime-features', 'free-space-tree'],
    ...(label === '' ? [] : ['--label', Buffer.from(label).subarray(0, MAX_LABEL_BYTES).toString()]),
    ...['--rootdir', tree],
  ];
  const steady = { uuid, epochSeconds, signal };
  const empty = ['sh', '-euc', ': > "$1"', 'sh', image];
  await box.run(empty, { signal });
  await steadily(box, [...common, '--shrink', image], steady);
  if (freeMiB > 0) {
    const smallest = Number(await box.run(['stat', '--format=%s', image], { signal }));
    await box.run(empty, { signal });
    await steadily(box, [...common, '--byte-count', String(smallest + freeMiB * MIB), image], steady);
  }
  await box.run(['sh', '-euc', SETTLED, 'sh', image], { signal });
}
