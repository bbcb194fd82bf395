import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { PublicApi } from '../client/api.ts';
import { CliError } from '../errors.ts';
import { storedText } from './stored-file.ts';

/** Where the list of what is in a runtime may be. */
export interface ContentPlaces {
  /** Here, where it was built. */
  sbomPath: string | undefined;
  /** The STORE that publishes it, on a node. */
  published: { itemHash: string; api: PublicApi } | undefined;
  signal: AbortSignal;
}

const documentSchema = z.object({
  packages: z.array(z.object({ SPDXID: z.string(), licenseDeclared: z.string().optional() })),
});

/** Licences that are named of all. */
const MAX_LICENCES = 8;

/** The text of the list of what is in a runtime; undefined where nobody has one. */
export async function contentOf({ sbomPath, published, signal }: ContentPlaces): Promise<string | undefined> {
  if (sbomPath !== undefined) return await readFile(sbomPath, 'utf8');
  if (published === undefined) return undefined;
  return await storedText(published.itemHash, { api: published.api, signal });
}

/** The same. @throws CliError `SBOM_MISSING` where nobody has one */
export async function contentOrThrow(runtime: string, places: ContentPlaces): Promise<string> {
  const text = await contentOf(places);
  if (text === undefined) throw new CliError('SBOM_MISSING', { operands: { runtime } });
  return text;
}

/**
 * How many packages are under which licence, the most frequent first, in one line; undefined for text that is no list.
 * One package may be under several.
 */
export function licencesIn(text: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const document = documentSchema.safeParse(value).data;
  const counts = new Map<string, number>();
  let unknown = 0;
  const packages = (document?.packages ?? []).filter(({ SPDXID }) => !/^SPDXRef-(runtime|recipe-files)$/.test(SPDXID));
  for (const { licenseDeclared = 'NOASSERTION' } of packages) {
    const names = new Set(licenseDeclared.match(/[A-Za-z0-9.+-]+/g) ?? []);
    if (licenseDeclared === 'NOASSERTION') unknown += 1;
    else
      for (const name of names)
        if (!/^(AND|OR|WITH)$/.test(name) && !name.startsWith('LicenseRef-'))
          counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  if (packages.length === 0) return undefined;
  const most = [...counts].sort(([a, left], [b, right]) => right - left || (a < b ? -1 : 1));
  const named = most.slice(0, MAX_LICENCES).map(([name, count]) => `${name} (${count})`);
  const more = most.length > named.length ? [`${most.length - named.length} more`] : [];
  return [...named, ...more, ...(unknown > 0 ? [`not told (${unknown})`] : [])].join(', ');
}
