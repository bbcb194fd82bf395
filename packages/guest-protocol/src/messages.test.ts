import { describe, expect, test } from 'vitest';
import { FIELD_LIMITS } from './limits.ts';
import { type GuestMessage, guestMessage, type HostMessage, hostMessage } from './messages.ts';

const configure: HostMessage = {
  type: 'configure',
  hostname: 'vm-1',
  machineId: '0123456789abcdef0123456789abcdef',
  clock: { sec: 1_800_000_000, nsec: 5 },
  entropy: 'ab'.repeat(32),
  network: { address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2', dns: ['10.0.2.3'] },
  launcher: { argv: ['/usr/bin/python3', '-I'], env: { PORT: '8080' } },
};
const fromHost: HostMessage[] = [
  configure,
  { ...configure, network: null },
  {
    type: 'load',
    code: { device: '/dev/vdc' },
    entrypoint: 'main:app',
    interface: 'asgi',
    variables: { A: '1' },
    port: 8080,
  },
  { type: 'load', code: null, entrypoint: '/opt/code/run.sh', interface: null, variables: {}, port: 8080 },
  { type: 'halt', graceMs: 0 },
];
const fromGuest: GuestMessage[] = [
  { type: 'hello', protocol: 1, version: '0.1.0', kernel: '6.1.0-56-cloud-amd64', uptimeUs: 1_200_000 },
  { type: 'ready', launcher: 'python', version: '3.11.2', features: ['uvloop'] },
  { type: 'loaded', port: 8080, interface: 'asgi', server: 'uvicorn 0.17.6' },
  { type: 'failed', phase: 'load', code: 'IMPORT_FAILED', message: 'Cannot import "main"', detail: 'Traceback\n' },
  { type: 'mark', name: 'imported', uptimeUs: 5 },
  { type: 'log', stream: 'stdout', timeUs: 1_800_000_000_000_000, text: 'x'.repeat(FIELD_LIMITS.logTextChars) },
  { type: 'exited', role: 'launcher', code: 255, signal: null },
  { type: 'exited', role: 'launcher', code: null, signal: 'SIGRTMIN+1' },
  { type: 'halted' },
];

describe('hostMessage', () => {
  for (const message of fromHost) {
    test(`hostMessage: accepts ${JSON.stringify(message).slice(0, 60)}`, () => {
      expect(hostMessage.parse(message)).toEqual(message);
    });
  }

  test('hostMessage: refuses what init0 would refuse', () => {
    const wrong: object[] = [
      { ...configure, hostname: 'a b' },
      { ...configure, hostname: '-a' },
      { ...configure, machineId: 'A'.repeat(32) },
      { ...configure, entropy: 'ab'.repeat(31) },
      { ...configure, entropy: 'ab'.repeat(513) },
      { ...configure, entropy: `${'ab'.repeat(32)}a` },
      { ...configure, clock: { sec: 1.5, nsec: 0 } },
      { ...configure, clock: { sec: 1, nsec: 1_000_000_000 } },
      { ...configure, launcher: { argv: [], env: {} } },
      { ...configure, launcher: { argv: ['a\0b'], env: {} } },
      { ...configure, launcher: { argv: ['a'], env: { 'A=B': '1' } } },
      { type: 'load', code: { device: '/dev/../x' }, entrypoint: 'a', interface: null, variables: {}, port: 8080 },
      { type: 'load', code: null, entrypoint: 'a', interface: null, variables: {}, port: 0 },
      { type: 'halt', graceMs: -1 },
      { type: 'halt' },
    ];
    for (const message of wrong) expect(hostMessage.safeParse(message).success, JSON.stringify(message)).toBe(false);
  });
});

describe('guestMessage', () => {
  for (const message of fromGuest) {
    test(`guestMessage: accepts ${JSON.stringify(message).slice(0, 60)}`, () => {
      expect(guestMessage.parse(message)).toEqual(message);
    });
  }

  test('guestMessage: drops members it does not know', () => {
    expect(guestMessage.parse({ type: 'halted', more: 1 })).toEqual({ type: 'halted' });
  });

  test('guestMessage: refuses hostile values', () => {
    const failed = { type: 'failed', phase: 'load', code: 'A', message: '', detail: '' };
    const wrong: object[] = [
      { type: 'configure' },
      { type: 'hello', protocol: 65_536, version: '1', kernel: '6', uptimeUs: 0 },
      { type: 'hello', protocol: 1, version: '1', kernel: 'x'.repeat(129), uptimeUs: 0 },
      { type: 'ready', launcher: 'p', version: '3', features: Array(65).fill('f') },
      { type: 'loaded', port: 65_536, interface: 'asgi', server: 's' },
      { type: 'log', stream: 'stdin', timeUs: 0, text: '' },
      { type: 'log', stream: 'stdout', timeUs: 2 ** 53, text: '' },
      { type: 'log', stream: 'stdout', timeUs: 0, text: 'x'.repeat(FIELD_LIMITS.logTextChars + 1) },
      { ...failed, phase: 'other' },
      { ...failed, code: 'lower' },
      { ...failed, message: 'two\nlines' },
      { ...failed, detail: 'x'.repeat(FIELD_LIMITS.detailChars + 1) },
      { type: 'exited', role: 'launcher', code: 256, signal: null },
      { type: 'exited', role: 'launcher', code: 0, signal: 'SIGKILL' },
      { type: 'exited', role: 'launcher', code: null, signal: null },
      { type: 'exited', role: 'init', code: 0, signal: null },
    ];
    for (const message of wrong) expect(guestMessage.safeParse(message).success, JSON.stringify(message)).toBe(false);
  });
});
