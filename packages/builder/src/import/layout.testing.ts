import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Box } from '../box/index.ts';

const execute = promisify(execFile);

/** Runs a command of the machine. @returns its stdout */
export async function command(name: string, ...args: string[]): Promise<string> {
  return (await execute(name, args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
}

/** What an OCI layout in a test is made of. */
export interface TestLayout {
  layers: readonly Buffer[];
  /** Of its configuration, such as `{ Entrypoint: ['/bin/web'] }`. */
  config?: object;
  platform?: { os: string; architecture: string };
  /** Changes documents before they are written. */
  change?: (documents: { index: object; manifest: object; config: object }) => void;
}

/** Writes an OCI image layout with one image of the tag `test`. @returns its folder */
export async function writeLayout(folder: string, layout: TestLayout): Promise<string> {
  const { layers, config = {}, platform = { os: 'linux', architecture: 'amd64' }, change } = layout;
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const put = async (bytes: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(folder, 'blobs/sha256', hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const type = (name: string) => `application/vnd.oci.image.${name}`;
  const tars = await Promise.all(layers.map((tar) => put(tar, type('layer.v1.tar'))));
  const documents = {
    config: { ...platform, config, rootfs: { type: 'layers', diff_ids: tars.map(({ digest }) => digest) } },
    manifest: {},
    index: {},
  };
  change?.(documents);
  const described = await put(json(documents.config), type('config.v1+json'));
  documents.manifest = { schemaVersion: 2, config: described, layers: tars };
  change?.(documents);
  const manifest = await put(json(documents.manifest), type('manifest.v1+json'));
  const annotations = { 'org.opencontainers.image.ref.name': 'test' };
  documents.index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  change?.(documents);
  await writeFile(join(folder, 'index.json'), json(documents.index));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return folder;
}

/** What stands in a tree: everything that an image keeps. */
const LIST = `
import hashlib, os, stat, sys
root, inodes = os.fsencode(sys.argv[1]), {}
for folder, names, files in os.walk(root):
    for path in [folder] + [os.path.join(folder, name) for name in sorted(names + files)]:
        look = os.lstat(path)
        if path == folder and folder != root: continue
        name = os.path.relpath(path, root)
        first = inodes.setdefault(look.st_ino, name) if not stat.S_ISDIR(look.st_mode) else name
        what = hashlib.sha1(open(path, "rb").read()).hexdigest() if stat.S_ISREG(look.st_mode) else os.readlink(path) if stat.S_ISLNK(look.st_mode) else ""
        extra = sorted((key, os.getxattr(path, key, follow_symlinks=False).hex()) for key in os.listxattr(path, follow_symlinks=False))
        print(name, oct(look.st_mode), look.st_uid, look.st_gid, int(look.st_mtime), what, extra, "-" if first == name else first)
`;

/** All that is in a tree on the host, or in a box, a line each, in order. */
export async function listing(tree: string, box?: Box): Promise<string[]> {
  const argv = ['python3', '-c', LIST, tree] as const;
  const text = box === undefined ? await command(...argv) : await box.run(argv);
  return text.trim().split('\n').sort();
}
