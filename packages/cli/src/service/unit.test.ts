import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@vmlet/host';
import { describe, expect, test } from 'vitest';
import { runCli, temporaryFolder } from '../testing.ts';
import { unitFile } from './unit.ts';

/** Of 10; systemd calls 5 "medium" and what nobody has hardened 9.6. */
const MOST_EXPOSED = { system: 5, user: 8 };

const unit = (more: Partial<Parameters<typeof unitFile>[0]> = {}) =>
  unitFile({ scope: 'system', command: '/opt/vmlet/packages/cli/bin/vmlet', args: [], ...more });

describe('vmlet install-service', () => {
  test.each(['system', 'user'] as const)(
    'install-service: writes a unit for %s that systemd finds nothing in',
    async (scope) => {
      await using folder = await temporaryFolder();
      const env = { HOME: folder.path, XDG_RUNTIME_DIR: folder.path };
      const args = ['install-service', `--${scope}`, '--dry-run', '--listen', '[::1]:0', '--idle', '1m'];
      const { exitCode, stdout } = await runCli(args, { env });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^ExecStart=\/\S+\/bin\/vmlet up --listen "?\[::1\]:0"? --idle 1m$/m);
      const path = join(folder.path, 'vmlet.service');
      await writeFile(path, stdout);
      const manager = scope === 'user' ? ['--user'] : [];
      const options = { env: { ...process.env, ...env, SYSTEMD_LOG_LEVEL: 'warning' } };
      expect(await run('systemd-analyze', [...manager, 'verify', path], options)).toBe('');
      const offline = ['security', '--offline=true', '--no-pager', `--threshold=${MOST_EXPOSED[scope] * 10}`, path];
      expect(await run('systemd-analyze', [...manager, ...offline], options)).toContain('Overall exposure level');
    },
  );

  test('install-service: writes the unit for its user, and says how it is started', async () => {
    await using folder = await temporaryFolder();
    const { stdout, stderr } = await runCli(['install-service', '--user'], { env: { HOME: folder.path } });
    const path = join(folder.path, '.config/systemd/user/vmlet.service');
    expect(stdout).toBe(`${path}\n`);
    expect(stderr).toContain('systemctl --user daemon-reload && systemctl --user enable --now vmlet');
    expect(await readFile(path, 'utf8')).toContain('WantedBy=default.target');
  });

  test.each([
    [['--user', '--system'], 2, 'both --user and --system'],
    [['--allow', ','], 2, 'Cannot read --allow'],
    [['--nonsense'], 2, 'unknown option'],
  ])('install-service: refuses %j', async (args, status, words) => {
    const { exitCode, stderr } = await runCli(['install-service', '--dry-run', ...args]);
    expect(exitCode).toBe(status);
    expect(stderr).toContain(words);
  });

  test('install-service: says that it may not write, when it may not', async () => {
    await using folder = await temporaryFolder({ '.config/systemd': 'a file' });
    const { exitCode, stderr } = await runCli(['install-service', '--user'], { env: { HOME: folder.path } });
    expect(exitCode).toBe(8);
    expect(stderr).toContain(`Cannot write the unit "${join(folder.path, '.config/systemd/user/vmlet.service')}"`);
  });
});

describe('unitFile', () => {
  test('unit: quotes what systemd would read otherwise', () => {
    const text = unit({ args: ['--domain', 'a b%c$d"e'], home: '/srv/my $x' });
    expect(text).toContain('up --home "/srv/my $$x" --domain "a b%%c$$d\\"e"\n');
    expect(text).toContain('ReadWritePaths="/srv/my $x"\n');
  });

  test('unit: gives the capability of low ports only where one is asked for', () => {
    expect(unit({ args: ['--listen', '0.0.0.0:80'] })).toContain('CAP_NET_BIND_SERVICE');
    for (const args of [[], ['--listen', '0.0.0.0:8080'], ['--listen', '0.0.0.0:0']]) {
      expect(unit({ args })).not.toContain('CAP_NET_BIND_SERVICE');
    }
  });

  test('unit: hides homes, unless vmlet itself is in one', () => {
    expect(unit()).toContain('ProtectHome=yes');
    expect(unit({ command: join('/home', 'me', 'vmlet') })).toContain('ProtectHome=read-only');
    expect(unit({ scope: 'user' })).not.toContain('CapabilityBoundingSet');
  });
});
