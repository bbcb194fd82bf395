import { describe, expect, test } from 'vitest';
import { VmletError } from '../../errors.ts';
import type { Check } from '../../telemetry/index.ts';
import { readSurvey } from '../records.ts';
import { evidenceOf, interpreterRecord, printed } from '../testing.ts';
import type { CheckGroup, ClaimedFacts } from './finding.ts';
import { judgeInterpreters } from './interpreters.ts';
import { judgeMachine } from './machine.ts';
import { judgeSecurity } from './security.ts';
import { judgeStart } from './start.ts';
import { compareVersions, judgeSystem } from './system.ts';

const of = (code: string, { checks }: CheckGroup): Check | undefined => checks.find((check) => check.code === code);
const claims = (more: Partial<ClaimedFacts>): ClaimedFacts => ({ init: 'kit', os: '', interpreters: {}, ...more });
const file = (why: string, path: string, detail = '') => ({
  ...{ kind: 'file', why, path, detail, bytes: 1, mode: 0, uid: 0 },
});

describe('judges', () => {
  test('init: an image has to hold what its manifest says', () => {
    const systemd = { kind: 'init', path: 'sbin/init', real: '/usr/lib/systemd/systemd', isVmlet: false };
    const judged = (records: object[], init: ClaimedFacts['init']) =>
      of('INIT', judgeSystem(evidenceOf(records, { manifest: claims({ init }) })));
    expect(judged([systemd], 'image')).toMatchObject({ status: 'error', text: expect.stringContaining('systemd') });
    expect(judged([{ ...systemd, isVmlet: true }], 'image')).toMatchObject({ status: 'ok' });
    expect(judged([], 'distribution')).toMatchObject({ status: 'error', fix: expect.stringContaining('systemd-sysv') });
    expect(judged([systemd], 'distribution')).toMatchObject({ status: 'ok' });
    expect(judged([], 'kit')).toMatchObject({ status: 'ok' });
  });

  test('kernel: an image that needs a newer one than there is does not pass', () => {
    const kernel = { kind: 'kernel', release: '6.1.0-50-cloud-amd64', machine: 'x86_64' };
    const judged = (oldestKernel: string) =>
      of('KERNEL', judgeSystem(evidenceOf([kernel, interpreterRecord({ oldestKernel })])));
    expect(judged('3.2.0')).toMatchObject({ status: 'ok' });
    expect(judged('6.10.0')).toMatchObject({ status: 'error', text: expect.stringContaining('6.10.0') });
    expect([compareVersions('2.9', '2.10'), compareVersions('6.1.0-50', '6.1.0')]).toEqual([-1, 0]);
  });

  test('TLS: a bundle that an interpreter does not find is an error, as is none where one is needed', () => {
    const bundle = { kind: 'bundle', path: 'etc/ssl/cert.pem', certificates: 3 };
    const judged = (records: object[]) => of('TLS_ROOTS', judgeSystem(evidenceOf(records)))?.status;
    const asked = (value: string) => ({ kind: 'authorities', of: '/usr/bin/python3', value });
    expect(judged([])).toBe('warning');
    expect(judged([interpreterRecord()])).toBe('error');
    expect(judged([interpreterRecord({ name: 'node', output: 'v24.0.0' })])).toBe('warning');
    expect(judged([bundle, asked('0')])).toBe('error');
    expect(judged([bundle, asked('3')])).toBe('ok');
    expect(judged([bundle, asked('none')])).toBe('error');
  });

  test('locale: glibc before 2.35 needs its files', () => {
    const judged = (version: string, hasFiles: boolean) => {
      const records = [
        { kind: 'libc', name: 'glibc', version },
        { kind: 'locale', name: 'C.UTF-8', hasFiles },
      ];
      return of('LOCALE', judgeSystem(evidenceOf(records)))?.status;
    };
    expect([judged('2.31', false), judged('2.31', true), judged('2.36', false)]).toEqual(['warning', 'ok', 'ok']);
  });

  test('manifest: an interpreter that is not there, or is another, is an error', () => {
    const python = (path: string, version: string) => claims({ interpreters: { python: { path, version } } });
    const judged = (manifest: ClaimedFacts) =>
      of('MANIFEST', judgeInterpreters(evidenceOf([interpreterRecord()], { manifest })));
    expect(judged(python('/usr/bin/python3.11', '3.11.2'))).toBeUndefined();
    expect(judged(python('/usr/bin/python3', '3.12.0'))).toMatchObject({
      status: 'error',
      text: expect.stringContaining('3.11.2'),
    });
    expect(judged(python('/opt/python', '3.11.2'))).toMatchObject({
      status: 'error',
      text: expect.stringContaining('/opt/python'),
    });
  });

  test('interpreters: what is slow, killed, or lacks a module is told', () => {
    const judged = (more: object, ...others: object[]) =>
      of('INTERPRETER_PYTHON', judgeInterpreters(evidenceOf([interpreterRecord(more), ...others])));
    expect(judged({ status: -1, late: true, output: '' })).toMatchObject({
      status: 'error',
      text: expect.stringContaining('in time'),
    });
    expect(judged({ status: 139, output: '' })).toMatchObject({
      status: 'error',
      text: expect.stringContaining('signal 11'),
    });
    const module = { kind: 'module', of: '/usr/bin/python3', name: 'ssl', error: 'ImportError libssl' };
    expect(judged({}, module)).toMatchObject({ status: 'warning', text: expect.stringContaining('ssl (ImportError') });
  });

  test('security: keys of libraries and usual rights are told apart from those that are grave', () => {
    const judged = (code: string, ...records: object[]) => of(code, judgeSecurity(evidenceOf(records)));
    expect(judged('SECRETS', file('secret', 'usr/lib/python3/test/key.pem', 'a private key'))?.status).toBe('warning');
    expect(judged('SECRETS', file('secret', 'etc/key.pem', 'a private key'))?.status).toBe('error');
    expect(judged('SECRETS', { kind: 'files', why: 'secret', count: 500 })?.status).toBe('error');
    expect(judged('SUID', file('setuid', 'usr/bin/su'), file('setgid', 'usr/bin/chage'))?.status).toBe('ok');
    expect(judged('SUID', file('setuid', 'usr/bin/su'), file('setuid', 'bin/nc'))).toMatchObject({
      status: 'warning',
      text: '/bin/nc (setuid, owner 0)',
    });
    expect(judged('SUID', { kind: 'files', why: 'setuid', count: 2 })?.status).toBe('warning');
    expect(judged('CAPABILITIES', file('capability', 'usr/bin/ping', '0000000000002000'))?.status).toBe('ok');
    expect(judged('CAPABILITIES', file('capability', 'bin/x', '0000000000200001'))?.text).toBe(
      '/bin/x (chown sys_admin)',
    );
    expect(judged('ACCOUNTS', { kind: 'account', name: 'root', hasPassword: true })?.status).toBe('warning');
    expect(judged('PORTS', { kind: 'socket', protocol: 'tcp', address: '00000000', port: 22 })).toMatchObject({
      status: 'warning',
      text: 'tcp 22',
    });
  });

  test('machine: a clock that is off, no entropy and code that can be written to are errors', () => {
    const code = (error: string) =>
      readSurvey(printed([{ kind: 'writable', path: '/opt/code', error, mode: 0 }]), { machine: 'm' });
    const times = { booted: 1, ready: 2, loaded: 3, answered: 4 };
    const judged = (error: string) => {
      const records = [
        { kind: 'clock', ms: 100_000 },
        { kind: 'entropy', error: 'EAGAIN' },
      ];
      const trials = [{ language: 'python' as const, ok: true as const, times, survey: code(error) }];
      return judgeMachine(evidenceOf(records, { trials }));
    };
    expect(of('CLOCK', judged('EROFS'))).toMatchObject({ status: 'error', text: '100 s off' });
    expect(of('ENTROPY', judged('EROFS'))?.status).toBe('error');
    expect(of('CODE_READ_ONLY', judged('EROFS'))?.status).toBe('ok');
    expect(of('CODE_READ_ONLY', judged(''))?.status).toBe('error');
  });

  test('start: phases of a start, or why there was none', () => {
    const error = new VmletError('PROGRAM_LOAD_FAILED', {
      operands: { code: 'X' },
      detail: 'Traceback\nNo module named x',
    });
    const times = { booted: 1000, ready: 1500.4, loaded: 1600, answered: 1700 };
    const { checks } = judgeStart(
      evidenceOf([], {
        trials: [
          { language: 'python', ok: true, times, survey: undefined },
          { language: 'node', ok: false, error },
        ],
      }),
    );
    expect(checks.map(({ code, status }) => `${code} ${status}`)).toEqual([
      'BOOT ok',
      'PROGRAM_PYTHON ok',
      'PROGRAM_NODE error',
    ]);
    expect(checks[1]?.text).toBe(
      'answers after 1700 ms: kernel and init 1000 ms, launcher 500 ms, program 100 ms, first answer 100 ms',
    );
    expect(checks[2]?.text).toContain('No module named x');
  });
});
