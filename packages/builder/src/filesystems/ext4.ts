import { CommandFailed } from '@vmlet/host';
import { type MakeIn, SETTLED } from './make.ts';
import { steadily, uuidOf } from './steadily.ts';

const BLOCK_SIZE = 4096;
const INODES_PER_BLOCK = 16;
const MIB_BLOCKS = 256;
const BLOCKS_PER_GROUP = 32_768;
const DESCRIPTOR_SIZE = 64;
/** What mke2fs keeps for descriptors where an image may grow, about. */
const DESCRIPTORS_GROWN_BLOCKS = 128;
/** One for each 16 KiB that is left free, as mke2fs has it. */
const MIB_INODES = 64;
/** Those that ext4 keeps for itself, and lost+found. */
const RESERVED_INODES = 11;
/** The journal of an image that is written to. */
const JOURNAL_MIB = 16;
const MAX_LABEL_BYTES = 16;
/**
 * What is added to the blocks that are counted, one after another until it is enough: extended attributes, and the maps
 * of files in many pieces.
 */
const SLACKS = [
  { part: 0.005, blocks: 16 },
  { part: 0.03, blocks: 64 },
  { part: 0.12, blocks: 256 },
  { part: 0.5, blocks: 4096 },
];
/** mke2fs' words for an image that is too small for its tree. */
const TOO_SMALL = /Could not allocate (block|inode)|No free space|Not enough space to build/;

/** Named one by one: what mke2fs has by default is another version's, or a configuration file's, choice. */
const FEATURES = [
  ...['none', '64bit', 'dir_index', 'dir_nlink', 'ext_attr', 'extent', 'extra_isize', 'filetype', 'flex_bg'],
  ...['huge_file', 'large_file', 'metadata_csum', 'sparse_super'],
];
/** For an image that has free space: it is written to, and grows. */
const WRITABLE_FEATURES = ['has_journal', 'resize_inode'];

/**
 * Counts what a tree takes: inodes and blocks of 4 KiB. Of a name of the tree it has kind, inode, size and bytes; names
 * of one file are one inode, and a folder's are packed, but for the rest of its last block.
 */
const COUNT = `
find "$1" -printf '%y %i %s %f\\0' | tr '\\n\\0' '?\\n' | awk '
  {
    length_of_name = length($0) - length($1) - length($2) - length($3) - 3
    names += 8 + int((length_of_name + 3) / 4) * 4
    if ($1 == "d") blocks += 1
    if ($2 in seen) next
    seen[$2] = 1
    inodes += 1
    if ($1 == "f") blocks += int(($3 + 4095) / 4096)
    if ($1 == "l" && $3 > 59) blocks += 1
  }
  END { printf "%d %d", inodes, blocks + int(names / 3800) + 1 }'`;

/** mke2fs gives the root folder an owner, a mode and a time of its own: those of the tree take their place. */
const ROOT = `
set -- "$1" $(stat -c '0x%f %u %g %Y' "$2")
{
  printf 'set_inode_field <2> %s %s\\n' mode "$2" uid "$3" gid "$4"
  printf 'set_inode_field <2> %s @%s\\n' mtime "$5" atime "$5" ctime "$5" crtime "$5"
} > /tmp/commands
debugfs -w -f /tmp/commands "$1" > /dev/null`;

/**
 * Makes an ext4 image as large as its tree needs, with `freeMiB` beside. It has a journal if something is to be free.
 * @throws CommandFailed
 */
export async function makeExt4(making: MakeIn): Promise<void> {
  const { box, tree, image, epochSeconds, uuid, signal } = making;
  const counted = await box.run(['sh', '-euc', COUNT, 'sh', tree], { env: { LC_ALL: 'C' }, signal });
  const [inodes = 0, blocks = 0] = counted.split(' ').map(Number);
  for (const [attempt, slack] of SLACKS.entries()) {
    const argv = argumentsOf(making, { inodes, blocks: Math.ceil(blocks * (1 + slack.part)) + slack.blocks });
    try {
      await steadily(box, argv, { epochSeconds, uuid, signal });
      break;
    } catch (error) {
      const isTooSmall = error instanceof CommandFailed && TOO_SMALL.test(error.stderr);
      if (!isTooSmall || attempt === SLACKS.length - 1) throw error;
    }
  }
  await box.run(['sh', '-euc', `${ROOT}\n${SETTLED}`, 'sh', image, tree], {
    env: { E2FSPROGS_FAKE_TIME: String(epochSeconds) },
    signal,
  });
}

interface Counted {
  inodes: number;
  blocks: number;
}

function argumentsOf({ tree, image, filesystem, label, uuid }: MakeIn, counted: Counted): string[] {
  const { freeMiB = 0 } = filesystem;
  const isWritable = freeMiB > 0;
  const inodes = Math.ceil((counted.inodes + RESERVED_INODES) * 1.02) + freeMiB * MIB_INODES;
  const free = isWritable ? (freeMiB + JOURNAL_MIB) * MIB_BLOCKS : 0;
  const content = counted.blocks + Math.ceil(inodes / INODES_PER_BLOCK) + free;
  const features = isWritable ? [...FEATURES, ...WRITABLE_FEATURES] : FEATURES;
  const extended = [`hash_seed=${uuidOf('ext4 hash seed', uuid)}`, 'lazy_itable_init=0', 'lazy_journal_init=0'];
  return [
    ...[
      'mke2fs',
      '-q',
      '-F',
      '-t',
      'ext4',
      '-T',
      'vmlet',
      '-O',
      features.join(','),
      '-b',
      String(BLOCK_SIZE),
      '-I',
      '256',
    ],
    // Nothing is kept for root.
    ...['-m', '0', '-N', String(inodes), '-U', uuid, '-E', [...extended, 'nodiscard', 'root_owner=0:0'].join(',')],
    ...(isWritable ? ['-J', `size=${JOURNAL_MIB}`] : []),
    ...(label === '' ? [] : ['-L', Buffer.from(label).subarray(0, MAX_LABEL_BYTES).toString('latin1')]),
    ...['-d', tree, image, String(content + overheadOf(content, isWritable))],
  ];
}

/** Blocks of the groups themselves: two bitmaps each, and copies of superblock and descriptors, with room to grow. */
function overheadOf(blocks: number, isWritable: boolean): number {
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
  const descriptors = Math.ceil((groups * DESCRIPTOR_SIZE) / BLOCK_SIZE);
  return 32 + groups * (3 + (isWritable ? DESCRIPTORS_GROWN_BLOCKS : descriptors));
}
