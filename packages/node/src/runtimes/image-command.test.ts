import type { Manifest } from '@vmlet/builder';
import { describe, expect, test } from 'vitest';
import { commandFault } from './image-command.ts';
import { launchOf } from './launcher.ts';

type Code = Parameters<typeof launchOf>[0];
type Config = NonNullable<Manifest['config']>;

const code = (more: object = {}) =>
  ({ encoding: 'zip', entrypoint: '.', interface: 'binary', ref: 'a', use_latest: false, ...more }) as Code;
const manifest = (config: Config | undefined, init: Manifest['init'] = 'kit') =>
  ({ interpreters: {}, init, ...(config ? { config } : {}) }) as Manifest;

describe('launchOf', () => {
  test('launchOf: runs what the image of its runtime names, where and as whom it says', () => {
    const config = { entrypoint: ['/entry', '-x'], cmd: ['serve'], workdir: '/srv', user: 'web:staff' };
    expect(launchOf(code(), manifest(config))).toMatchObject({
      kind: 'exec',
      argv: ['/run/vmlet/kit/init1/exec/init1-exec'],
      entrypoint: '/run/vmlet/kit/init1/exec/image-command',
      args: ['/srv', 'web:staff', '/entry', '-x', 'serve'],
    });
    expect(launchOf(code({ args: ['other'] }), manifest(config)).args.slice(2)).toEqual(['/entry', '-x', 'other']);
    expect(launchOf(code(), manifest({ cmd: ['a'] })).args).toEqual(['/', '', 'a']);
    expect(launchOf(code(), manifest({ cmd: ['a'] }, 'image')).entrypoint).toBe('/root/vmlet/init1/exec/image-command');
  });

  test.each<[string, Config, Record<string, string>, number | undefined]>([
    ['the one port that is exposed', { exposedPorts: ['3333/tcp'] }, {}, 3333],
    ['the usual one of several', { exposedPorts: ['22/tcp', '80/tcp', '443/tcp'] }, {}, 80],
    ['the lowest, where none is usual', { exposedPorts: ['9001/tcp', '9000/tcp'] }, {}, 9000],
    ['none by UDP', { exposedPorts: ['53/udp'] }, {}, undefined],
    ['its PORT before those', { exposedPorts: ['80/tcp'], env: { PORT: '4000' } }, {}, 4000],
    ['the PORT of the program before all', { exposedPorts: ['80/tcp'], env: { PORT: '4000' } }, { PORT: '5000' }, 5000],
    ['no PORT that is none', { exposedPorts: ['80/tcp'], env: { PORT: 'http' } }, { PORT: '70000' }, 80],
  ])('launchOf: looks for an image’s server on %s', (_, config, variables, port) => {
    expect(launchOf(code(), manifest({ cmd: ['a'], ...config }), { variables }).image?.port).toBe(port);
  });

  test('launchOf: gives any program the variables of its image, but none that a node gives', () => {
    const env = { A: 'b', PORT: '1', VMLET: '2', VMLET_HOOK: '3', ALEPH_API_HOST: '4' };
    const own = code({ entrypoint: 'run.sh' });
    expect(launchOf(own, manifest({ env, exposedPorts: ['80/tcp'] }))).toMatchObject({
      entrypoint: 'run.sh',
      args: [],
      image: { env: { A: 'b' } },
    });
    expect(launchOf(own, manifest({ env, exposedPorts: ['80/tcp'] })).image).not.toHaveProperty('port');
    expect(launchOf(own, manifest(undefined)).image).toBeUndefined();
  });
});

test.each<[string, Code, Manifest | undefined, boolean]>([
  ['an image without a command', code(), manifest({ env: {} }), true],
  ['no image at all', code(), undefined, true],
  ['a command of too many words', code({ args: Array(63).fill('a') }), manifest({}), true],
  ['arguments alone', code({ args: ['a'] }), manifest({}), false],
  ['an entrypoint of its own', code({ entrypoint: 'run.sh' }), manifest({}), false],
  ['a folder that is no binary', code({ interface: undefined }), undefined, false],
])('commandFault: tells whether a program can be what its image starts, with %s', (_, of, runtime, isFault) => {
  expect(commandFault(of, runtime) !== undefined).toBe(isFault);
});
