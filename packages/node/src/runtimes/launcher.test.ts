import { describe, expect, test } from 'vitest';
import { launchOf } from './launcher.ts';

const code = (entrypoint: string, more: object = {}) =>
  ({ encoding: 'zip', entrypoint, ref: 'a', use_latest: false, ...more }) as Parameters<typeof launchOf>[0];

describe('launchOf', () => {
  test.each([
    ['main:app', {}, 'python', 'main:app'],
    ['package.module:create()', {}, 'python', 'package.module:create()'],
    ['server.js', {}, 'node', 'server.js'],
    ['src/app.ts:handler', {}, 'node', 'src/app.ts:handler'],
    ['index.mjs', {}, 'node', 'index.mjs'],
    ['run.sh', {}, 'exec', 'run.sh'],
    ['bin/server', {}, 'exec', 'bin/server'],
    ['server.js', { interface: 'binary' }, 'exec', 'server.js'],
    ['main:app', { interface: 'asgi' }, 'python', 'main:app'],
    ['app', { encoding: 'plain' }, 'python', 'main:app'],
    ['main:app', { encoding: 'plain' }, 'python', 'main:app'],
    ['run.sh', { encoding: 'plain', interface: 'binary' }, 'exec', 'main'],
  ])('launchOf: starts "%s" %o with %s', (entrypoint, more, kind, started) => {
    expect(launchOf(code(entrypoint, more), undefined)).toMatchObject({ kind, entrypoint: started });
  });

  test('launchOf: uses the interpreters that a runtime names', () => {
    const manifest = { interpreters: { node: { path: '/opt/node/bin/node', version: '24' } } };
    expect(launchOf(code('a.js'), manifest as never).argv).toEqual([
      '/opt/node/bin/node',
      '/run/vmlet/kit/init1/node/init1.js',
    ]);
    expect(launchOf(code('main:app'), undefined).argv[0]).toBe('/usr/bin/python3');
  });

  test('launchOf: takes the launchers from the image, where the runtime says that it has them', () => {
    const image = { interpreters: {}, init: 'image' } as never;
    expect(launchOf(code('run.sh'), image)).toMatchObject({
      init: 'image',
      argv: ['/root/vmlet/init1/exec/init1-exec'],
    });
    expect(launchOf(code('main:app'), image).argv).toContain('/root/vmlet/init1/python/init1.py');
    expect(launchOf(code('a.js'), image).argv).toContain('/root/vmlet/init1/node/init1.js');
    expect(launchOf(code('run.sh'), undefined).init).toBe('kit');
  });

  test('launchOf: gives an executable its arguments', () => {
    expect(launchOf(code('server', { args: ['--port', '8080'] }), undefined).args).toEqual(['--port', '8080']);
  });
});
