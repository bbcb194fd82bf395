import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { refused } from './errors.ts';

/** Where a root filesystem comes from. */
export interface ImportSource {
  kind: 'oci' | 'docker' | 'tar' | 'dir';
  path: string;
  /** Of an OCI layout or an archive of Docker with several images. */
  tag?: string | undefined;
}

const KINDS = ['oci', 'docker', 'tar', 'dir'] as const;

/** Whether a text has the form of a source; what it names may not be there. */
export function isSource(text: string): boolean {
  return KINDS.some((kind) => text.startsWith(`${kind}:`));
}

/**
 * Takes apart `oci:PATH[:TAG]`, `docker:PATH[:TAG]`, `tar:FILE` or `dir:PATH`. A path may hold colons: one that is there
 * is meant as a whole.
 * @throws ImportError for anything else, or a path that is not there
 */
export async function parseSource(text: string, cwd: string): Promise<ImportSource> {
  const colon = text.indexOf(':');
  const kind = KINDS.find((known) => known === text.slice(0, colon));
  if (kind === undefined || colon === text.length - 1)
    throw refused(JSON.stringify(text), 'no such source', 'oci:PATH, docker:PATH, tar:FILE or dir:PATH');
  const rest = text.slice(colon + 1);
  const whole = resolve(cwd, rest);
  if (await isThere(whole)) return { kind, path: whole };
  const last = rest.lastIndexOf(':');
  // A tag of Docker has a colon of its own, as in "name:tag".
  for (let at = last; at > 0 && (kind === 'oci' || kind === 'docker'); at = rest.lastIndexOf(':', at - 1)) {
    const path = resolve(cwd, rest.slice(0, at));
    if (await isThere(path)) return { kind, path, tag: rest.slice(at + 1) };
  }
  throw refused(JSON.stringify(text), `nothing at "${whole}"`, kind === 'dir' ? 'a folder' : 'a file or folder');
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
