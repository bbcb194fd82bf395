import { chmod, chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CommandFailed, makeWorkFolder, run } from '@vmlet/host';
import { ensureHelper } from './helper.ts';
import { type BoxIds, boxIds } from './ids.ts';
import { BoxUnavailable } from './unavailable.ts';
import { argumentsOf, type View } from './view.ts';

/** How a command in a box is run. */
export interface BoxRun {
  /** Folder to start in; `/work` unless told, and `/` with `root`. */
  cwd?: string;
  /** Added to a plain environment; nothing of the host's is in it. */
  env?: Record<string, string>;
  /** Fed to stdin, which is empty otherwise. */
  input?: Readable;
  /** Called with each line of stderr as it comes. */
  onLine?: (line: string) => void;
  signal?: AbortSignal | undefined;
  /** The host's network, with its proxies; only for fetching. */
  network?: boolean;
  /** Host path to path in the box: bound read-only. */
  readOnly?: Record<string, string>;
  /** A tree below the work folder, such as `root`: the command sees that, `/proc` and `/dev`, and nothing of the host. */
  root?: string;
}

/**
 * A folder, and a way to run commands that see it and little else. They are root of a user namespace, and nobody on
 * the host: they read the host's `/usr` and some public files of `/etc`, write `/work` only, have no network, and end
 * with this process.
 *
 * What is in `work` was written by them. The host MUST NOT follow a link in it, nor parse what it finds.
 */
export interface Box extends AsyncDisposable {
  /** The work folder on the host, `/work` inside. It belongs to the box's root. */
  readonly work: string;
  /**
   * Runs one command to its end; several may run at once.
   * @returns its stdout, at most 16 MiB
   * @throws CommandFailed, with the tail of its stderr
   */
  run(argv: readonly string[], options?: BoxRun): Promise<string>;
}

export interface OpenOptions {
  /** `$VMLET_CACHE`, where the helper is kept. */
  cache: string;
  signal?: AbortSignal | undefined;
}

/** What a command in a box has as its environment. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LC_ALL: 'C.UTF-8',
};
const PROXIES = /^(https?|ftp|all|no)_proxy$/i;

/**
 * Opens a box. What boxes of processes that were killed have left in `parent` is removed first.
 * @param parent is made if it is missing; the box's folder is made in it
 * @throws BoxUnavailable
 */
export async function openBox(parent: string, name: string, options: OpenOptions): Promise<Box> {
  const helper = await helperOf(options);
  const ids = await boxIds();
  const enter = { helper, ids };
  await using stack = new AsyncDisposableStack();
  const folder = await makeWorkFolder(parent, name, { remove: (path) => removeTree(path, enter) });
  stack.use(folder);
  await chmod(folder.path, 0o700);
  const work = join(folder.path, 'work');
  await mkdir(work);
  await chmod(work, 0o755);
  if (process.getuid?.() === 0) await chown(work, ids.firstUid, ids.firstGid);
  const box: Box = {
    work,
    run: (argv, runOptions = {}) => runIn({ ...enter, work }, argv, runOptions),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
  await probe(box, options.signal);
  const held = stack.move();
  return box;
}

interface Enter {
  helper: string;
  ids: BoxIds;
}

async function runIn(
  { helper, ids, work }: Enter & { work: string },
  argv: readonly string[],
  options: BoxRun,
): Promise<string> {
  const { root, network = false, readOnly = {}, cwd = root === undefined ? '/work' : '/' } = options;
  const view: View = { work, network, readOnly, root, cwd };
  const { helper: shares, bwrap } = await argumentsOf(view);
  const identity = ['--parent', String(process.pid), '--uids', String(ids.firstUid), '--gids', String(ids.firstGid)];
  try {
    return await run(helper, [...identity, ...shares, '--', 'bwrap', ...bwrap, '--', ...argv], {
      cwd: '/',
      env: { ...ENVIRONMENT, ...(network ? proxies() : {}), ...options.env },
      ...(options.input ? { input: options.input } : {}),
      ...(options.onLine ? { onLine: options.onLine } : {}),
      signal: options.signal,
    });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    // The helper's name means nothing to anybody: what was to be run does.
    const found = error.message.replace(`Cannot run "${helper}": `, '');
    throw new CommandFailed(argv[0] ?? '', found, error.stderr, { exitCode: error.exitCode, cause: error });
  }
}

function proxies(): Record<string, string> {
  const found = Object.entries(process.env).filter(([name]) => PROXIES.test(name));
  return Object.fromEntries(found.map(([name, value]) => [name, value ?? '']));
}

async function helperOf({ cache, signal }: OpenOptions): Promise<string> {
  try {
    return await ensureHelper(cache, signal);
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw new BoxUnavailable(`its helper does not compile: ${cause.message}`, 'install "gcc" and "libc6-dev"', {
      cause,
    });
  }
}

/** Finds out now, rather than in the middle of a build, and says what is missing. */
async function probe(box: Box, signal: AbortSignal | undefined): Promise<void> {
  try {
    await box.run(['true'], { signal });
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    const said = cause.stderr.trim() || cause.message;
    throw new BoxUnavailable(said, nextStepFor(said), { cause });
  }
}

function nextStepFor(said: string): string {
  if (said.includes('"bwrap"')) return 'install "bubblewrap"';
  if (/new[ug]idmap/.test(said)) return 'install "uidmap", and see "man newuidmap" for what it asks of /etc/subuid';
  if (said.includes('user namespace'))
    return 'allow user namespaces: sysctl user.max_user_namespaces=10000, and kernel.apparmor_restrict_unprivileged_userns=0 where there is one';
  return 'user namespaces and bubblewrap are needed, which a container may forbid';
}

/** Removes what a box has left. Its files may have owners that only its root may remove, unless we are the host's. */
async function removeTree(path: string, enter: Enter): Promise<void> {
  if (process.getuid?.() !== 0 && (await readdir(path)).includes('work')) {
    const work = join(path, 'work');
    await runIn({ ...enter, work }, ['find', '.', '-mindepth', '1', '-delete'], {});
  }
  await rm(path, { recursive: true, force: true });
}
