/** Names that never belong to a program: version control, caches, environments of this machine, secrets, editors. */
const IGNORED_NAMES = new Set([
  '.git',
  '.hg',
  '.svn',
  '__pycache__',
  '.venv',
  'venv',
  'node_modules',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '.tox',
  '.nox',
  '.coverage',
  '.DS_Store',
  '.idea',
  '.vscode',
  // What the platform itself puts into the code.
  '.vmlet',
]);
const IGNORED_PATTERNS = [/\.py[co]$/, /~$/, /^\.#/, /\.sw[op]$/];
/** Files of secrets, as `.env.production`; a template is none. */
const SECRETS = /^\.env(\..+)?$/;
const TEMPLATES = /\.(example|sample|template)$/;

/** Whether a file or folder of this name is left out of the code, wherever it stands. */
export function isIgnored(name: string): boolean {
  if (IGNORED_NAMES.has(name)) return true;
  if (SECRETS.test(name)) return !TEMPLATES.test(name);
  return IGNORED_PATTERNS.some((pattern) => pattern.test(name));
}
