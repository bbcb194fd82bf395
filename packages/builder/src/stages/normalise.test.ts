import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolvePaths } from '@vmlet/host';
import { expect, test } from 'vitest';
import { openBox } from '../box/index.ts';
import { readRecipe } from '../recipe.ts';
import { normalise } from './normalise.ts';

/** 2024-05-01, which is day 19844 since 1970. */
const EPOCH_SECONDS = 1_714_521_600;

/** What two builds of the same packages differ in, and what they must not lose. */
const MAKE = `mkdir root && cd root
mkdir -p etc/ssh var/log/apt var/lib/dpkg var/cache/debconf var/cache/ldconfig tmp usr/lib/python usr/share/doc/a
printf 'root:*:20400:0:99999:7:::\\nold:*:19000:0:99999:7:::\\n' > etc/shadow && chmod 640 etc/shadow && chown 0:42 etc/shadow
echo 1234 > etc/machine-id; echo box > etc/hostname; echo key > etc/ssh/ssh_host_rsa_key; cp etc/shadow etc/shadow-
echo log > var/log/dpkg.log; echo log > var/log/apt/history.log; echo mine > var/log/mine; echo x > var/lib/dpkg/status-old
echo x > var/cache/ldconfig/aux-cache; echo x > tmp/left; echo x > usr/share/doc/a/b
echo 'x = 1' > usr/lib/python/new.py; echo 'x = 1' > usr/lib/python/old.py
touch -d @1714000000 usr/lib/python/old.py
python3 -m compileall -q usr/lib/python
ln -s /etc/outside var/lib/apt; touch -h -d @1714000000 var/lib/apt`;

test('normalise: takes out what differs between builds, sets later times back, and keeps bytecode valid', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  await using box = await openBox(join(dir.path, 'boxes'), 'normalise', resolvePaths());
  await box.run(['sh', '-c', MAKE]);
  const path = join(dir.path, 'recipe.yaml');
  await writeFile(
    path,
    'format: 1\nname: a\nversion: "1"\ndescription: ""\ndistribution: debian\nsuite: bookworm\nremove: [/usr/share/doc/*]\n',
  );
  await normalise(await readRecipe(path), { box, packages: dir.path, epochSeconds: EPOCH_SECONDS });
  const at = { cwd: '/work/root' };
  const files = await box.run(['sh', '-c', 'find . -type f -o -type l | grep -v pyc | sort'], at);
  expect(files.trim().split('\n')).toEqual([
    './etc/machine-id',
    './etc/shadow',
    './usr/lib/python/new.py',
    './usr/lib/python/old.py',
    './var/lib/apt',
    './var/log/mine',
  ]);
  expect(await box.run(['cat', 'etc/machine-id', 'etc/shadow'], at)).toBe(
    'root:*:19844:0:99999:7:::\nold:*:19000:0:99999:7:::\n',
  );
  expect(await box.run(['stat', '-c', '%a %u:%g', 'etc/shadow'], at)).toBe('640 0:42\n');
  expect(await box.run(['find', '.', '-newermt', `@${EPOCH_SECONDS}`], at)).toBe('');
  expect(await box.run(['stat', '-c', '%Y', 'usr/lib/python/old.py'], at)).toBe('1714000000\n');
  // Python says which bytecode it takes, and compiles what it does not.
  const importing = 'import sys; sys.path.insert(0, "usr/lib/python"); import new, old';
  const said = await box.run(
    ['sh', '-c', `python3 -v -c '${importing}' 2>&1 | grep -c 'matches .*usr/lib/python/'`],
    at,
  );
  expect(said).toBe('2\n');
});
