import { createReadStream } from 'node:fs';
import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '@vmlet/host';

/** A package of a test's own: its files, by path, and what it depends on. */
export interface TestPackage {
  name: string;
  version: string;
  depends?: string;
  /** Of those that each system has: it is installed whatever a recipe says. */
  isEssential?: boolean;
  files: Record<string, string>;
  /** Commands of this machine that are put into `/bin`, with what they are linked to. */
  commands?: readonly string[];
}

/** A mirror of Debian's kind on this machine: signed with a key of its own, and served by HTTP. */
export interface TestMirror extends AsyncDisposable {
  url: string;
  /** Its key, as a file that a recipe can name. */
  keyring: string;
  /** Paths that were asked for. */
  asked: string[];
  /** Replaces what it has, made at a time. */
  publish(packages: readonly TestPackage[], options?: { date?: string; suite?: string }): Promise<void>;
  /** Answers nothing any more. */
  close(): Promise<void>;
}

/** @param folder is made, and holds all of it */
export async function startMirror(folder: string): Promise<TestMirror> {
  const [gnupg, site] = [join(folder, 'gnupg'), join(folder, 'site')];
  await mkdir(gnupg, { recursive: true });
  await chmod(gnupg, 0o700);
  const gpg = (...args: string[]) => run('gpg', ['--homedir', gnupg, '--batch', '--yes', '--quiet', ...args]);
  await gpg('--passphrase', '', '--quick-generate-key', 'A mirror of a test', 'ed25519', 'sign', 'never');
  const keyring = join(folder, 'mirror.gpg');
  await gpg('--output', keyring, '--export');
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    asked.push(path);
    serve(join(site, path), response).catch(() => {
      // Whoever asked may be gone already.
      if (response.headersSent) response.destroy();
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const close = async () => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    keyring,
    asked,
    close,
    async publish(packages, { date = 'Sat, 01 Nov 2025 12:00:00 UTC', suite = 'bookworm' } = {}) {
      await rm(site, { recursive: true, force: true });
      for (const wanted of packages) await pack(wanted, { site, work: join(folder, 'packing') });
      const lists = join(site, 'dists', suite);
      await mkdir(join(lists, 'main/binary-amd64'), { recursive: true });
      const index = await run('apt-ftparchive', ['packages', 'pool'], { cwd: site });
      await writeFile(join(lists, 'main/binary-amd64/Packages'), index);
      const said = { Suite: suite, Codename: suite, Date: date, Components: 'main', Architectures: 'amd64' };
      const options = Object.entries(said).flatMap(([name, value]) => [
        '-o',
        `APT::FTPArchive::Release::${name}=${value}`,
      ]);
      const release = await run('apt-ftparchive', [...options, 'release', '.'], { cwd: lists });
      await writeFile(join(lists, 'Release'), release.replace(/^Date:.*$/m, `Date: ${date}`));
      await gpg('--output', join(lists, 'InRelease'), '--clearsign', join(lists, 'Release'));
    },
    async [Symbol.asyncDispose]() {
      await close();
      await run('gpgconf', ['--homedir', gnupg, '--kill', 'gpg-agent']);
    },
  };
}

async function serve(path: string, response: import('node:http').ServerResponse): Promise<void> {
  const found = await stat(path);
  if (!found.isFile()) throw new Error(`Cannot serve "${path}": no file`);
  response.writeHead(200, { 'content-length': found.size });
  await pipeline(createReadStream(path), response);
}

async function pack(
  { name, version, depends, isEssential, files, commands = [] }: TestPackage,
  { site, work }: { site: string; work: string },
): Promise<void> {
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'DEBIAN'), { recursive: true });
  const control = `Package: ${name}
Version: ${version}
Architecture: all
Maintainer: A test <test@example.org>
${depends === undefined ? '' : `Depends: ${depends}\n`}${isEssential ? 'Essential: yes\nPriority: required\n' : ''}Description: Of a test
`;
  await writeFile(join(work, 'DEBIAN/control'), control);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
  }
  const linked = `set -e; cd "$1"; shift; mkdir -p bin lib64
for name; do
  path=/usr/bin/$name; [ -e "$path" ] || path=/usr/sbin/$name
  cp -L "$path" "bin/$name"
  for library in $(ldd "$path" | grep -o '/[^ ]*'); do cp -L --parents "$library" .; done
done`;
  if (commands.length > 0) await run('sh', ['-c', linked, 'sh', work, ...commands]);
  // Older than what any test calls now.
  await run('find', [work, '-exec', 'touch', '--no-dereference', '--date=2024-05-01', '{}', '+']);
  const pool = join(site, 'pool/main');
  await mkdir(pool, { recursive: true });
  // The same bytes each time: with others, it would be another package.
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1714521600' };
  await run('dpkg-deb', ['--root-owner-group', '--build', work, pool], { env });
}
