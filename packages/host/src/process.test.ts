import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { CommandFailed, killProcessGroup, run } from './process.ts';

const sh = (script: string, options: Parameters<typeof run>[2] = {}) => run('sh', ['-c', script], options);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // ESRCH: there is none.
    return false;
  }
}

describe('run', () => {
  test('run: gives what the command prints, in its folder and environment', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
    expect(await sh('printf "$PWD $X"; echo é >&2', { cwd: dir.path, env: { X: 'y' } })).toBe(`${dir.path} y`);
  });

  test('run: feeds the input, and ends without one', async () => {
    expect(await run('cat', [], { input: Readable.from(['a', 'b']) })).toBe('ab');
    expect(await run('cat', [])).toBe('');
  });

  test('run: tells exit code and the end of stderr, when the command fails', async () => {
    const failure = sh('head -c 10000 /dev/zero | tr "\\0" x >&2; echo last >&2; exit 3');
    await expect(failure).rejects.toBeInstanceOf(CommandFailed);
    const error: CommandFailed = await failure.catch((reason) => reason);
    expect(error).toMatchObject({ message: 'Cannot run "sh": exit code 3, expected exit code 0', exitCode: 3 });
    expect(error.stderr).toHaveLength(4096);
    expect(error.stderr).toMatch(/^x+last\n$/);
  });

  test('run: tells the signal that ended the command', async () => {
    await expect(sh('kill -TERM $$')).rejects.toMatchObject({
      message: 'Cannot run "sh": ended by SIGTERM, expected exit code 0',
      exitCode: null,
    });
  });

  test('run: says that a command is not installed, or cannot be started', async () => {
    await expect(run('vmlet-no-such-command', [])).rejects.toThrow(
      'no such command on PATH, expected it to be installed',
    );
    await expect(run('vmlet-no-such-command', [], { input: Readable.from(['x']) })).rejects.toBeInstanceOf(
      CommandFailed,
    );
    await expect(run('/etc/passwd', [])).rejects.toThrow('start failed (EACCES)');
    await expect(run('sh', ['-c', 'a\0b'])).rejects.toBeInstanceOf(CommandFailed);
    await expect(run('true', ['x'.repeat(3_000_000)])).rejects.toBeInstanceOf(CommandFailed);
  });

  test('run: prefers the command’s own words to a broken input', async () => {
    const input = Readable.from(
      (function* () {
        for (let chunk = 0; chunk < 100; chunk++) yield Buffer.alloc(65_536);
      })(),
    );
    await expect(sh('echo enough >&2; exit 4', { input })).rejects.toMatchObject({ exitCode: 4, stderr: 'enough\n' });
  });

  test('run: fails with the input’s failure, when the command does well', async () => {
    const input = Readable.from(
      (async function* () {
        yield 'some';
        throw new Error('source failed');
      })(),
    );
    await expect(run('cat', [], { input })).rejects.toThrow('source failed');
  });

  test('run: ends a command that prints without end', async () => {
    await expect(run('yes', [])).rejects.toThrow('Cannot run "yes": over 16777216 bytes on stdout, expected less');
    await expect(sh('head -c 16777217 /dev/zero')).rejects.toThrow('over 16777216 bytes');
  });

  test('run: tells lines of stderr as they come, the last one without its end too', async () => {
    const lines: string[] = [];
    await sh('printf "a\\nb\\r\\nc\\rd" >&2', { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(['a', 'b', 'c', 'd']);
  });

  test('run: ends the command and fails, when a line cannot be taken', async () => {
    const onLine = () => {
      throw new Error('no more lines');
    };
    await expect(sh('echo x >&2; exec sleep 1000', { onLine })).rejects.toThrow('no more lines');
  });

  test('run: kills the whole group, when its signal aborts', async () => {
    const controller = new AbortController();
    const pids: number[] = [];
    const onLine = (line: string) => {
      pids.push(...line.split(' ').map(Number));
      controller.abort(new Error('enough'));
    };
    const script = 'sleep 1000 & echo $$ $! >&2; wait';
    await expect(sh(script, { onLine, signal: controller.signal })).rejects.toThrow('enough');
    expect(pids).toHaveLength(2);
    // A dead process that its new parent has not reaped yet has no command line.
    const left = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
    expect(left).toEqual(['', '']);
    await expect(sh('true', { signal: controller.signal })).rejects.toThrow('enough');
  });

  test('run: leaves its signal alone afterwards', async () => {
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (type: string, listener: unknown, options?: unknown) => {
      listeners.add(listener);
      add(type, listener as () => void, options as object);
    };
    signal.removeEventListener = (type: string, listener: unknown) => {
      listeners.delete(listener);
      remove(type, listener as () => void);
    };
    await sh('true', { signal });
    // Only what is left of them matters here.
    await sh('false', { signal }).catch(() => {});
    // Only what is left of them matters here.
    await run('vmlet-no-such-command', [], { signal }).catch(() => {});
    expect(listeners.size).toBe(0);
  });
});

test('killProcessGroup: does nothing, for a group that is gone or never was', async () => {
  const pid = Number(await sh('echo $$'));
  expect(isAlive(pid)).toBe(false);
  killProcessGroup(pid);
  killProcessGroup(undefined);
});
