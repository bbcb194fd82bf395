import type { Check } from '../../telemetry/index.ts';
import { type CheckGroup, type Evidence, filesOf, shown, some } from './finding.ts';

/** Programs that distributions give the rights of root or of a group, by their last names. */
const USUAL = new Set(
  (
    'su sudo mount umount passwd chsh chfn newgrp gpasswd chage expiry wall write unix_chkpwd pam_extrausers_chkpwd ' +
    'ping ssh-agent ssh-keysign dbus-daemon-launch-helper fusermount fusermount3 pkexec polkit-agent-helper-1 ' +
    'newuidmap newgidmap crontab at utempter bwrap sudoedit doas bbsuid locate dotlockfile'
  ).split(' '),
);
/** Places of libraries, whose own tests and examples bring keys that open nothing. */
const LIBRARIES =
  /^usr\/(share|lib|lib64|include|local\/lib|local\/share)\/|^(nix|opt)\/.*\/(node_modules|site-packages)\//;

/** What in the image gives rights away, or should be known to nobody. */
export function judgeSecurity(evidence: Evidence): CheckGroup {
  const checks = [secrets(evidence), rights(evidence), capabilities(evidence), openFiles(evidence)];
  return { title: 'Security', checks: [...checks, accounts(evidence), machineId(evidence), ports(evidence)] };
}

function secrets({ survey }: Evidence): Check {
  const it = { code: 'SECRETS', title: 'Keys and secrets' };
  const { named, count } = filesOf(survey, 'secret');
  if (count === 0) return { ...it, status: 'ok', text: 'none found' };
  const own = named.filter(({ path }) => !LIBRARIES.test(path));
  const list = (own.length > 0 ? own : named).map(({ path, detail }) => `${shown(path)} (${detail})`);
  const fix = 'Remove them and make new ones: whoever has the image has them, and it is published';
  // Those that are only counted may be anything.
  const isGrave = own.length > 0 || count > named.length;
  const text = some(list, own.length > 0 && count === named.length ? own.length : count);
  return { ...it, status: isGrave ? 'error' : 'warning', text, fix };
}

function rights({ survey }: Evidence): Check {
  const it = { code: 'SUID', title: 'Files with setuid' };
  const [setuid, setgid] = [filesOf(survey, 'setuid'), filesOf(survey, 'setgid')];
  const named = [...setuid.named, ...setgid.named];
  const count = setuid.count + setgid.count;
  const unusual = named.filter(({ path }) => !USUAL.has(path.slice(path.lastIndexOf('/') + 1)));
  if (unusual.length === 0 && count === named.length) {
    const text = count === 0 ? 'none' : `${count}, all of them usual: ${some(named.map(({ path }) => shown(path)))}`;
    return { ...it, status: 'ok', text };
  }
  const list = unusual.map(({ path, why, uid }) => `${shown(path)} (${why}, owner ${uid})`);
  const fix = 'chmod u-s,g-s what no program needs: each gives its rights to whoever may run it';
  return { ...it, status: 'warning', text: some(list, count - (named.length - unusual.length)), fix };
}

function capabilities({ survey }: Evidence): Check {
  const it = { code: 'CAPABILITIES', title: 'Files with capabilities' };
  const { named, count } = filesOf(survey, 'capability');
  const text =
    count === 0
      ? 'none'
      : some(
          named.map(({ path, detail }) => `${shown(path)} (${capsOf(detail)})`),
          count,
        );
  const isUsual =
    count === named.length && named.every(({ path }) => /\/(ping|arping|clockdiff|gst-ptp-helper)$/.test(path));
  if (isUsual) return { ...it, status: 'ok', text };
  return { ...it, status: 'warning', text, fix: 'Take them away with setcap -r where no program needs them' };
}

const CAPABILITIES = [
  ...['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap'],
  ...['linux_immutable', 'net_bind_service', 'net_broadcast', 'net_admin', 'net_raw', 'ipc_lock', 'ipc_owner'],
  ...['sys_module', 'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct', 'sys_admin', 'sys_boot', 'sys_nice'],
  ...['sys_resource', 'sys_time', 'sys_tty_config', 'mknod', 'lease', 'audit_write', 'audit_control', 'setfcap'],
];

function capsOf(mask: string): string {
  if (!/^[0-9a-f]{16}$/.test(mask)) return 'not readable';
  const bits = BigInt(`0x${mask}`);
  const names = CAPABILITIES.filter((_, bit) => (bits >> BigInt(bit)) & 1n);
  return names.length === 0 ? `0x${mask}` : names.join(' ');
}

function openFiles({ survey }: Evidence): Check {
  const it = { code: 'WORLD_WRITABLE', title: 'Files that all may write' };
  const { named, count } = filesOf(survey, 'writable');
  if (count === 0) return { ...it, status: 'ok', text: 'none' };
  const text = some(
    named.map(({ path }) => shown(path)),
    count,
  );
  return { ...it, status: 'warning', text, fix: 'chmod o-w them, or give folders the sticky bit (chmod 1777)' };
}

function accounts({ survey }: Evidence): Check {
  const it = { code: 'ACCOUNTS', title: 'Passwords' };
  const all = survey.all('account');
  const names = (accountsOf: typeof all) => some(accountsOf.map(({ name }) => JSON.stringify(name).slice(1, -1)));
  const open = all.filter(({ hasPassword }) => !hasPassword);
  const fix = 'Lock them with: passwd --lock NAME';
  if (open.length > 0) return { ...it, status: 'error', text: `none is asked of ${names(open)}`, fix };
  if (all.length > 0) return { ...it, status: 'warning', text: `everybody has the same for ${names(all)}`, fix };
  return { ...it, status: 'ok', text: 'no account has one' };
}

function machineId({ survey }: Evidence): Check {
  const it = { code: 'MACHINE_ID', title: 'Machine id' };
  const file = survey.one('machineId');
  const text = file?.text.trim() ?? '';
  if (file?.error || text === '' || text === 'uninitialized') return { ...it, status: 'ok', text: 'empty' };
  const fix = 'Empty it with: truncate --size 0 /etc/machine-id; each machine gets its own';
  return { ...it, status: 'warning', text: 'the image has one: elsewhere its machines would share it', fix };
}

/** The launcher's own server, which a trial asks. */
const LAUNCHER_PORT = 8080;

function ports({ survey, trials }: Evidence): Check {
  const it = { code: 'PORTS', title: 'Open ports' };
  const during = trials.flatMap((trial) => (trial.ok ? (trial.survey?.all('socket') ?? []) : []));
  const others = [...survey.all('socket'), ...during.filter(({ port }) => port !== LAUNCHER_PORT)];
  if (others.length === 0) return { ...it, status: 'ok', text: 'none but that of the program' };
  const text = some([...new Set(others.map(({ protocol, port }) => `${protocol} ${port}`))]);
  const fix = 'Find out who listens there with: vmlet exec PROGRAM -- ss -lntup';
  return { ...it, status: 'warning', text, fix };
}
