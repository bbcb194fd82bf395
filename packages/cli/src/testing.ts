/** Helpers of this package's tests. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { type Io, main } from './main.ts';
import type { OutputStream } from './output.ts';

/** A stream that keeps what is written to it. */
export function memoryStream(terminal: { isTTY?: boolean; columns?: number } = {}): OutputStream & { text: string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return Object.defineProperty(Object.assign(stream, terminal, { text: '' }), 'text', {
    get: () => Buffer.concat(chunks).toString('utf8'),
  });
}

/** What a run of `vmlet` came to. */
export interface CliResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs `vmlet` in this process, with an environment of its own. */
export async function runCli(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; stdin?: Io['stdin']; signal?: AbortSignal } = {},
): Promise<CliResult> {
  const stdout = memoryStream();
  const stderr = memoryStream();
  const exitCode = await main(args, {
    ...{ stdout, stderr },
    stdin: options.stdin ?? Readable.from([]),
    env: { HOME: '/nonexistent', ...options.env },
    cwd: options.cwd ?? process.cwd(),
    signal: options.signal ?? new AbortController().signal,
  });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

/** A folder of its own for a test, removed after. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a folder with files; a value that begins with `->` makes a link. */
export async function temporaryFolder(files: Readonly<Record<string, string>> = {}): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'vmlet-cli-test-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    if (content.startsWith('->')) await symlink(content.slice(2), join(path, name));
    else await writeFile(join(path, name), content);
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
