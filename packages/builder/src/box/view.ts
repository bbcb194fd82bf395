import { access } from 'node:fs/promises';

/** Where the helper shows what it was told to share; bwrap binds it on from there. */
const STAGE = '/tmp';

/** Of the host's /etc, what its commands need: none of it says who uses the machine, or holds a secret. */
const ETC = [
  '/etc/alternatives',
  '/etc/debian_version',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/mke2fs.conf',
  '/etc/nsswitch.conf',
];
const ETC_NETWORK = ['/etc/hosts', '/etc/resolv.conf', '/etc/ssl/certs', '/etc/ssl/openssl.cnf'];
/** Debian's own users and groups, which have the same numbers everywhere, in place of the machine's. */
const USERS = {
  '/etc/passwd': '/usr/share/base-passwd/passwd.master',
  '/etc/group': '/usr/share/base-passwd/group.master',
};

/** What a command in a box sees. */
export interface View {
  /** The box's folder, on the host. */
  work: string;
  network: boolean;
  /** Host path to path in the box. */
  readOnly: Readonly<Record<string, string>>;
  /** A path below `work` to have as the root, instead of the host's commands and `/work`. */
  root: string | undefined;
  /** Folder to start in. */
  cwd: string;
}

/**
 * The arguments for the helper, and those of bwrap, that make a view.
 */
export async function argumentsOf(view: View): Promise<{ helper: string[]; bwrap: string[] }> {
  const helper: string[] = [];
  const bwrap = ['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--hostname', 'box', '--die-with-parent'];
  let shares = 0;
  const share = (from: string, to: string, writable = false) => {
    const name = `share${shares++}`;
    helper.push('--share', from, name);
    bwrap.push(writable ? '--bind' : '--ro-bind', `${STAGE}/${name}`, to);
  };
  if (view.root === undefined) {
    for (const top of ['bin', 'lib', 'lib64', 'sbin']) bwrap.push('--symlink', `usr/${top}`, `/${top}`);
    share('/usr', '/usr');
    for (const path of [...ETC, ...(view.network ? ETC_NETWORK : [])]) if (await exists(path)) share(path, path);
    for (const [path, from] of Object.entries(USERS)) share((await exists(from)) ? from : path, path);
    bwrap.push('--tmpfs', '/tmp', '--tmpfs', '/var/tmp', '--tmpfs', '/run');
    share(view.work, '/work', true);
  } else {
    bwrap.push('--bind', `${STAGE}/tree`, '/');
  }
  bwrap.push('--proc', '/proc', '--dev', '/dev');
  for (const [from, to] of Object.entries(view.readOnly)) share(from, to);
  if (view.root !== undefined) helper.push('--tree', view.work, view.root);
  bwrap.push('--chdir', view.cwd);
  return { helper: [...(view.network ? ['--network'] : []), ...helper], bwrap };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
