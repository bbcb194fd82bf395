import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import createIgnore, { type Ignore } from 'ignore';
import { unreadable } from './unreadable.ts';

/** The file at the top of a folder that says what to leave out, in the syntax of .gitignore. */
export const IGNORE_FILE = '.vmletignore';
/** A file of rules longer than this is none. */
const MAX_IGNORE_BYTES = 1024 * 1024;

/** Never a part of a program: version control, caches, environments of this machine, editors, secrets. */
const DEFAULTS = [
  '.git',
  '.hg',
  '.svn',
  '__pycache__',
  '*.py[co]',
  '.venv',
  'venv',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '.tox',
  '.nox',
  '.coverage',
  '.npm',
  '.DS_Store',
  '.idea',
  '.vscode',
  '*~',
  '.#*',
  '*.sw[op]',
  // Secrets, as in .env.production; a template is none.
  '.env',
  '.env.*',
  '!.env*.example',
  '!.env*.sample',
  '!.env*.template',
];
/** What comes with packages and no program reads. */
const MODULE_DEFAULTS = ['.git', '.cache', '.DS_Store', '/node_modules/.package-lock.json', '/node_modules/.vite'];
/** Whatever the rules say: what the platform itself puts into the code, and the rules. */
const ALWAYS = ['.vmlet', `/${IGNORE_FILE}`];

/** Says what is left out of a folder: the defaults, then the lines of its .vmletignore, which may take them back. */
export class IgnoreRules {
  readonly #source: Ignore;
  readonly #modules: Ignore;

  /** @param own the text of .vmletignore */
  constructor(own = '') {
    const rules = (defaults: readonly string[]) =>
      createIgnore({ ignorecase: false })
        .add([...defaults])
        .add(own)
        .add(ALWAYS);
    this.#source = rules(DEFAULTS.concat('node_modules'));
    this.#modules = rules(MODULE_DEFAULTS);
  }

  /** Whether a file or folder of the program's own is left out. */
  ignores(path: string, { isFolder }: { isFolder: boolean }): boolean {
    return this.#source.ignores(isFolder ? `${path}/` : path);
  }

  /** Whether something in a node_modules folder that the program needs is left out all the same. */
  ignoresModule(path: string, { isFolder }: { isFolder: boolean }): boolean {
    return this.#modules.ignores(isFolder ? `${path}/` : path);
  }
}

/**
 * The rules of a folder.
 * @throws CliError `FOLDER_UNREADABLE` if its .vmletignore cannot be read
 */
export async function readIgnoreRules(folder: string): Promise<IgnoreRules> {
  const path = join(folder, IGNORE_FILE);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw unreadable(path, error);
  });
  return new IgnoreRules(text.slice(0, MAX_IGNORE_BYTES));
}
