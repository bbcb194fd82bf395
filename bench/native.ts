import { join } from 'node:path';
import { run } from '@vmlet/host';

/** Compiles a C file of the bench into a folder, and gives the program's path. `-static` where a guest is to run it. */
export async function compile(source: string, folder: string, flags: readonly string[] = []): Promise<string> {
  const program = join(folder, source.replace(/^.*\/|\.c$/g, ''));
  await run('gcc', ['-O2', '-Wall', '-Wextra', ...flags, '-o', program, join(import.meta.dirname, source)]);
  return program;
}
