import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Recipe } from '@vmlet/builder/recipe';
import { resolvePaths, run } from '@vmlet/host';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Box, openBox } from '../../packages/builder/src/box/index.ts';
import { makeImage } from '../../packages/builder/src/filesystems/index.ts';
import { startTestNode, type TestNode } from '../framework/node.ts';
import { publishPath } from '../framework/publish.ts';
import { officialRuntime } from '../framework/runtime.ts';

const FILESYSTEMS: Recipe['filesystem'][] = [
  { format: 'erofs', compression: 'lz4hc', maxSizeMiB: 64 },
  { format: 'squashfs', compression: 'zstd', maxSizeMiB: 64 },
  { format: 'ext4', maxSizeMiB: 64 },
  { format: 'ext4', freeMiB: 16, maxSizeMiB: 64 },
];

/** What a tree may have beside plain files, in /odd. */
const ODD = `
import os, struct
os.makedirs('root/odd')
os.chdir('root/odd')
for name in ('one', 'setuid', 'capable'): open(name, 'w').write('content')
os.link('one', 'two')
os.symlink('x' * 200, 'link')
os.mknod('whiteout', 0o20600, 0)
os.mkfifo('fifo')
open('l' * 254, 'w').write('long')
with open('sparse', 'wb') as file:
    file.seek(3 << 20)
    file.write(b'data')
    file.truncate(8 << 20)
os.chmod('setuid', 0o4755)
os.chown('one', 65534, 65535)
os.setxattr('capable', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0))
for name in os.listdir('.'): os.utime(name, (0, 1600000000), follow_symlinks=False)
`;

/** Says what it sees of its own root: of the image itself, which is at /rom, and through what is laid over it. */
const PROGRAM = `#!/bin/sh
mkdir /tmp/www && cd /odd && exec > /tmp/www/index.html
grep -o '^[^ ]* /rom [^ ]* r[ow]' /proc/mounts
stat -c '%n %F %a %u %g %h %s %Y' capable fifo link one setuid sparse two /rom/odd/whiteout
readlink link | wc -c
cat l*
tail -c +3145729 sparse | head -c 4
attribute security.capability capable
echo changed >> one && tail -c 8 one
cd /tmp/www && exec httpd -f -p "$PORT" 1>&2
`;

let node: TestNode;
let box: Box;
const owned = new AsyncDisposableStack();

beforeAll(async () => {
  node = owned.use(await startTestNode());
  const folder = owned.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')));
  box = owned.use(await openBox(folder.path, 'filesystems', { cache: resolvePaths().cache }));
  const attribute = join(folder.path, 'attribute');
  await run('gcc', ['-static', '-O1', '-s', '-o', attribute, join(import.meta.dirname, 'attribute.c')]);
  const { imagePath } = await officialRuntime('minimal');
  const readOnly = { [imagePath]: '/run/minimal', [attribute]: '/run/attribute' };
  await box.run(['fsck.erofs', '--extract=root', '/run/minimal'], { readOnly });
  await box.run(['cp', '/run/attribute', 'root/bin/attribute'], { readOnly });
  await box.run(['python3', '-c', ODD]);
});
afterAll(() => owned.disposeAsync());

test.each(FILESYSTEMS)(
  'filesystems: a program answers from a root in $format (free: $freeMiB), which is as it was',
  async (filesystem) => {
    await makeImage(box, { tree: 'root', image: 'image', epochSeconds: 1_700_000_000, filesystem });
    const { format } = filesystem;
    const { manifest } = await officialRuntime('minimal');
    const runtime = await publishPath(node, join(box.work, 'image'), { ...manifest, filesystem: format });
    const program = await node.deploy({ 'run.sh': PROGRAM }, { runtime, entrypoint: 'run.sh', memoryMiB: 128 });
    expect(await (await node.ask(program)).text()).toBe(`/dev/vda /rom ${format} ro
capable regular file 644 0 0 1 7 1600000000
fifo fifo 644 0 0 1 0 1600000000
link symbolic link 777 0 0 1 200 1600000000
one regular file 644 65534 65535 2 7 1600000000
setuid regular file 4755 0 0 1 7 1600000000
sparse regular file 644 0 0 1 8388608 1600000000
two regular file 644 65534 65535 2 7 1600000000
/rom/odd/whiteout character special file 600 0 0 1 0 1600000000
201
longdata0100000200200000000000000000000000000000changed
`);
  },
);
