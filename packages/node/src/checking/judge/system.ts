import type { Check } from '../../telemetry/index.ts';
import type { CheckGroup, ClaimedFacts, Evidence } from './finding.ts';
import { some } from './finding.ts';

/** glibc has had C.UTF-8 inside since then. */
const LIBC_WITH_LOCALE = [2, 35] as const;
/** Interpreters whose TLS trusts what the system does; Node.js, Java and Deno bring authorities of their own. */
const SYSTEM_TRUST = ['python', 'ruby', 'php', 'perl', 'go'];

/** What the system in the image is, and what programs expect of it. */
export function judgeSystem(evidence: Evidence): CheckGroup {
  const checks = [os(evidence), libc(evidence), init(evidence), kernel(evidence)];
  return { title: 'System', checks: [...checks, trust(evidence), locale(evidence), dns(evidence)] };
}

function os({ facts, survey }: Evidence): Check {
  const it = { code: 'OS', title: 'Operating system' };
  const file = survey.one('osRelease');
  const fix = 'Put an /etc/os-release there, as packages such as base-files do: tools tell systems apart by it';
  if (file?.error) return { ...it, status: 'warning', text: `/${file.path} cannot be read: ${file.error}`, fix };
  if (facts.os === '') return { ...it, status: 'warning', text: 'os-release names no system', fix };
  return { ...it, status: 'ok', text: facts.os };
}

function libc({ facts }: Evidence): Check {
  const { name, version } = facts.libc;
  const text = name === 'none' ? 'none: static executables only' : `${name}${version && ` ${version}`}`;
  return { code: 'LIBC', title: 'C library', status: 'ok', text };
}

const INITS: Record<ClaimedFacts['init'], string> = {
  kit: 'that of the boot kit',
  image: 'init0 of the image',
  distribution: 'that of the distribution, for instances',
};

function init({ manifest, survey }: Evidence): Check {
  const it = { code: 'INIT', title: 'Init' };
  const found = survey.one('init');
  const claimed = manifest?.init ?? 'kit';
  const own = found === undefined ? '' : `; the image has ${found.real || `/${found.path}`}`;
  const text = INITS[claimed];
  if (claimed === 'image' && found?.isVmlet !== true) {
    const fix = 'Put its files there with: vmlet runtime init-files; or take "init": "kit" in the manifest';
    return { ...it, status: 'error', text: `${text}, which is not at /sbin/init${own}`, fix };
  }
  if (claimed === 'distribution' && found === undefined) {
    const fix = 'Install an init, such as the package systemd-sysv; or take "init": "kit" in the manifest';
    return { ...it, status: 'error', text: `${text}, which is not there`, fix };
  }
  return { ...it, status: 'ok', text: claimed === 'kit' ? text : `${text}${own}` };
}

function kernel({ survey }: Evidence): Check {
  const it = { code: 'KERNEL', title: 'Kernel' };
  const release = survey.one('kernel')?.release ?? '';
  const needs = survey.all('interpreter').map(({ oldestKernel }) => oldestKernel);
  const oldest = needs.toSorted(compareVersions).at(-1) ?? '';
  const modules = [...new Set(survey.all('kernelModule').map(({ name }) => name))];
  const wants = modules.length === 0 ? '' : `; it asks for the modules ${some(modules)}`;
  const text = `${release}${oldest && `, at least ${oldest} is needed`}${wants}`;
  if (oldest === '' || compareVersions(release, oldest) >= 0) return { ...it, status: 'ok', text };
  return { ...it, status: 'error', text, fix: 'Take an older C library: the machines of this node have one kernel' };
}

function trust({ facts, survey }: Evidence): Check {
  const it = { code: 'TLS_ROOTS', title: 'TLS authorities' };
  const bundles = survey.all('bundle').filter(({ certificates }) => certificates > 0);
  const usable = survey.all('authorities').map(({ of, value }) => ({ of, count: Number(value) }));
  const blind = usable.filter(({ count }) => !(count > 0));
  const fix = 'Install the package ca-certificates, or put a bundle at /etc/ssl/certs/ca-certificates.crt';
  const needing = Object.keys(facts.interpreters).filter((name) => SYSTEM_TRUST.includes(name));
  if (bundles.length === 0 && blind.length === usable.length) {
    const text = `none${needing.length > 0 ? `, and ${needing.join(', ')} need them for HTTPS` : ''}`;
    return { ...it, status: needing.length > 0 ? 'error' : 'warning', text, fix };
  }
  if (blind.length > 0) {
    const text = `${blind.map(({ of }) => of).join(', ')} finds none, though there is /${bundles[0]?.path}`;
    return { ...it, status: 'error', text, fix };
  }
  const [bundle] = bundles;
  const text = bundle ? `${bundle.certificates} in /${bundle.path}` : `${usable[0]?.count} of ${usable[0]?.of}`;
  return { ...it, status: 'ok', text };
}

function locale({ facts, survey }: Evidence): Check {
  const it = { code: 'LOCALE', title: 'Locale' };
  const { name, version } = facts.libc;
  const odd = survey.all('encoding').find(({ value }) => value.toLowerCase() !== 'utf-8');
  const has =
    name !== 'glibc' || survey.one('locale')?.hasFiles || compareVersions(version, LIBC_WITH_LOCALE.join('.')) >= 0;
  const fix = 'Install the locale C.UTF-8, in Debian with the package libc-bin';
  if (!has) return { ...it, status: 'warning', text: 'no C.UTF-8, which programs are started with', fix };
  if (odd) return { ...it, status: 'warning', text: `${odd.of} takes file names for ${odd.value}`, fix };
  return { ...it, status: 'ok', text: name === 'none' ? 'without a C library there is none' : 'C.UTF-8' };
}

function dns({ survey }: Evidence): Check {
  const it = { code: 'DNS', title: 'Names of hosts' };
  const file = survey.one('nsswitch');
  const hosts = /^\s*hosts:(.*)$/m
    .exec(file?.text ?? '')?.[1]
    ?.replace(/#.*/, '')
    .trim();
  const own = 'the machine writes /etc/resolv.conf';
  if (hosts === undefined || file?.error) return { ...it, status: 'ok', text: `by default; ${own}` };
  if (hosts.split(/\s+/).some((word) => word === 'dns')) return { ...it, status: 'ok', text: `${hosts}; ${own}` };
  const fix = 'Write "hosts: files dns" into /etc/nsswitch.conf';
  return { ...it, status: 'error', text: `nsswitch.conf has "hosts: ${hosts}", without dns`, fix };
}

/** Negative where `a` is the older. Words after the numbers count for nothing. */
export function compareVersions(a: string, b: string): number {
  const [one, two] = [a, b].map((text) =>
    text
      .split(/[^0-9]+/)
      .filter((part) => part !== '')
      .map(Number),
  );
  for (let index = 0; index < 3; index++) {
    const difference = (one?.[index] ?? 0) - (two?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
