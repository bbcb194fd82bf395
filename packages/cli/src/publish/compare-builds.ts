import { open } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Manifest } from '@vmlet/builder';
import * as z from 'zod';

/** One thing that is another one in what was published and in what was built. */
export interface Difference {
  /** `image`, a member of the manifest, or a package or file of the list of content. */
  readonly what: string;
  readonly published: string;
  readonly built: string;
}

/** Members of a manifest that a build finds out. Its name and what is published beside it are the publisher's choice. */
const BUILT_MEMBERS = ['os', 'interpreters', 'filesystem', 'init', 'sizeBytes'] as const;
/** The same, but left out by older publishers. */
const OPTIONAL_MEMBERS = [
  'osRelease',
  'packages',
  'largestPackages',
  'kernel',
  'unpackedBytes',
  'epoch',
  'config',
] as const;
const BLOCK_BYTES = 4096;
const READ_BYTES = 1024 * 1024;

const documentSchema = z.looseObject({
  packages: z.array(z.looseObject({ SPDXID: z.string(), name: z.string(), versionInfo: z.string().optional() })),
  files: z.array(z.looseObject({ SPDXID: z.string(), fileName: z.string() })).optional(),
});

/** Members that the publisher states otherwise than the build. */
export function compareManifests(published: Manifest, built: Manifest): Difference[] {
  const told = OPTIONAL_MEMBERS.filter((member) => published[member] !== undefined);
  return [...BUILT_MEMBERS, ...told].flatMap((member) =>
    isDeepStrictEqual(published[member], built[member])
      ? []
      : [{ what: member, published: JSON.stringify(published[member]), built: shown(built[member]) }],
  );
}

/** Packages and files that are in one list of content only, or others in both. The runtime itself is left out. */
export function compareSboms(published: string, built: string): Difference[] {
  const [before, after] = [entriesOf(published), entriesOf(built)];
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((name) => {
    const [one, other] = [before.get(name), after.get(name)];
    if (isDeepStrictEqual(one, other)) return [];
    return [{ what: name, published: one?.shown ?? 'not there', built: other?.shown ?? 'not there' }];
  });
}

function entriesOf(text: string): Map<string, { shown: string; value: unknown }> {
  const entries = new Map<string, { shown: string; value: unknown }>();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return entries;
  }
  const document = documentSchema.safeParse(value).data;
  for (const one of document?.packages ?? []) {
    const { SPDXID: _, ...rest } = one;
    if (one.SPDXID !== 'SPDXRef-runtime')
      entries.set(`package ${one.name}`, { shown: one.versionInfo ?? 'there', value: rest });
  }
  for (const one of document?.files ?? []) {
    const { SPDXID: _, ...rest } = one;
    entries.set(`file ${one.fileName}`, { shown: 'there, with its own content', value: rest });
  }
  return entries;
}

/** Where two images differ, in words; undefined where they are the same bytes. */
export async function compareImages(publishedPath: string, builtPath: string): Promise<Difference | undefined> {
  await using published = await open(publishedPath);
  await using built = await open(builtPath);
  const sizes = { published: (await published.stat()).size, built: (await built.stat()).size };
  const most = Math.max(sizes.published, sizes.built);
  let first: number | undefined;
  let blocks = 0;
  const [one, other] = [Buffer.alloc(READ_BYTES), Buffer.alloc(READ_BYTES)];
  for (let offset = 0; offset < most; offset += READ_BYTES) {
    one.fill(0);
    other.fill(0);
    await Promise.all([published.read(one, 0, READ_BYTES, offset), built.read(other, 0, READ_BYTES, offset)]);
    if (one.equals(other)) continue;
    for (let block = 0; block < READ_BYTES; block += BLOCK_BYTES) {
      const end = block + BLOCK_BYTES;
      if (one.compare(other, block, end, block, end) === 0) continue;
      blocks += 1;
      first ??= offset + block + one.subarray(block, end).findIndex((byte, index) => byte !== other[block + index]);
    }
  }
  if (first === undefined && sizes.published === sizes.built) return undefined;
  const where =
    first === undefined ? 'zeros at its end' : `${blocks} blocks of 4 KiB differ, the first at byte ${first}`;
  return { what: 'image', published: `${sizes.published} bytes`, built: `${sizes.built} bytes; ${where}` };
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
