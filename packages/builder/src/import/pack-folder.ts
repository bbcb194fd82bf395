import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { refused } from './errors.ts';

/** Sorted, and with nothing of when and by whom it was packed: the same folder is the same tar. */
const ARGUMENTS = [
  ...['--create', '--format=posix', '--sort=name', '--numeric-owner', '--one-file-system'],
  ...['--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime', '--warning=no-file-ignored'],
  ...['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'],
];
/** What stderr is kept of a failure. */
const STDERR_CHARS = 4096;

/**
 * A folder as a tar, by the machine's own, which runs as whoever runs this: it reads what they can read. Files of theirs
 * belong to root in it, unless they are root.
 * @returns a stream that fails with an ImportError, when something cannot be read or changes meanwhile
 */
export function packFolder(path: string, signal?: AbortSignal): Readable {
  const own = process.getuid?.() ?? 0;
  const mapped = own === 0 ? [] : ['--owner=0', '--group=0'];
  return Readable.from(pack());

  async function* pack(): AsyncGenerator<Buffer> {
    const child = spawn('tar', [...ARGUMENTS, ...mapped, '--directory', path, '.'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
      signal,
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code));
    });
    // It is waited for below; until then a failure to start is not unhandled.
    ended.catch(() => undefined);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_CHARS);
    });
    try {
      yield* child.stdout;
      const code = await ended;
      if (code !== 0) throw refused(`the folder "${path}"`, said.trim() || `tar ended with ${code}`, 'all of it');
    } finally {
      child.kill('SIGKILL');
    }
  }
}
