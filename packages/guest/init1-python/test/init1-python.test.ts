/** Runs the launcher's own tests, which are in Python, with the interpreter and the libraries of Debian 12. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('.', import.meta.url));
// Debian's, whatever `python3` on PATH is: only this one sees the libraries that Debian packages install.
const python = process.env.VMLET_TEST_PYTHON ?? '/usr/bin/python3';
const LIBRARIES = ['uvicorn', 'h11', 'uvloop', 'httptools', 'waitress', 'wsproto', 'fastapi', 'flask'];

function runPython(...args: string[]): { status: number | null; output: string } {
  const { status, stderr, error } = spawnSync(python, args, { cwd: folder, encoding: 'utf8' });
  return { status, output: error ? String(error) : stderr };
}

describe('init1-python', () => {
  it('has every library that its tests need, once tools/setup has run', () => {
    expect(runPython('-c', `import ${LIBRARIES.join(', ')}`)).toEqual({ status: 0, output: '' });
  });

  for (const file of readdirSync(folder).filter((name) => /^test_.*\.py$/.test(name))) {
    it(`${file}: passes, every case of it`, () => {
      const { status, output } = runPython('-B', '-m', 'unittest', file.replace(/\.py$/, ''));
      expect(status, output).toBe(0);
      expect(output).toMatch(/^Ran [1-9]\d* tests? in .*\n\nOK$/m);
    });
  }
});
