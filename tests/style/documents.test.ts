import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './cruise.ts';
import { type Source, textFiles } from './sources.ts';

/** Folders of machines where vmlet was written, and never of those where it runs. */
const MACHINE_PATHS = /(?<![\w.~$}])\/(work|tmp\/\w+_jobs|root|home\/\w+)\/[\w.-]*/g;
/** In a guest, `/root` is where programs have their home, and where init0 puts the tree that becomes `/`. */
const GUEST_FILES = /^packages\/guest\//;
/** In a box, `/work` is the folder that may be written to. */
const BOX_FILES = /^packages\/builder\//;
/** Where an image that brings its own init has the launchers, as its authors are told. */
const IMAGE_FOLDER = ['', 'root', 'vmlet'].join('/');

/** Where packages come from is each machine's own setting: nothing of ours names a registry or a mirror. */
const REGISTRIES = [
  ['registry', 'npmjs', 'org'],
  ['registry', 'yarnpkg', 'com'],
  ['deb', 'debian', 'org'],
  ['security', 'debian', 'org'],
  ['ftp', 'debian', 'org'],
  ['snapshot', 'debian', 'org'],
  ['archive', 'ubuntu', 'com'],
  ['pypi', 'org'],
  ['files', 'pythonhosted', 'org'],
  ['proxy', 'golang', 'org'],
  ['static', 'crates', 'io'],
  ['index', 'crates', 'io'],
  ['registry-1', 'docker', 'io'],
  ['ghcr', 'io'],
].map((labels) => labels.join('.'));

/** The registries that this machine is set up with, by whatever names. */
function hostsOfThisMachine(): string[] {
  const { npm_config_registry: npm = '', PIP_INDEX_URL: pip = '', PIP_EXTRA_INDEX_URL: more = '' } = process.env;
  const files = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'].filter((path) => existsSync(path));
  const texts = [npm, pip, more, ...files.map((path) => readFileSync(path, 'utf8'))].join('\n');
  const hosts = [...texts.matchAll(/https?:\/\/(?:[^/@\s]*@)?([\w.-]+)/g)].map((match) => match[1] ?? '');
  return hosts.filter((host) => host.includes('.') && !/^127\.|^0\.0\.0\.0$/.test(host));
}

function placesOf({ path, text }: Source): string[] {
  const hosts = [...new Set([...REGISTRIES, ...hostsOfThisMachine()])];
  return text.split('\n').flatMap((line, index) => {
    const found = (line.match(MACHINE_PATHS) ?? []).filter((name) => name !== IMAGE_FOLDER);
    const paths = found
      .filter((name) => !(name.startsWith(['', 'root', ''].join('/')) && GUEST_FILES.test(path)))
      .filter((name) => !(name.startsWith(['', 'work', ''].join('/')) && BOX_FILES.test(path)));
    const registries = hosts.filter((host) => line.includes(host));
    return [...paths, ...registries].map((name) => `${path}:${index + 1}: ${name}`);
  });
}

/** Links whose target is not there: a file of the repository, or a heading of one. */
function brokenLinksOf(page: Source): string[] {
  const { path, text } = page;
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');
  const inline = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)];
  const references = [...prose.matchAll(/^\[[^\]]+\]:\s*<?(\S+?)>?$/gm)];
  const targets = [...inline, ...references].map((match) => match[1] ?? '');
  const local = targets.filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
  return local.filter((target) => !resolves(page, decodeURI(target))).map((target) => `${path}: ${target}`);
}

function resolves(page: Source, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  if (path === '') return anchor !== undefined && anchorsOf(page.text).has(anchor);
  const file = normalize(path.startsWith('/') ? path.slice(1) : join(dirname(page.path), path));
  if (file.startsWith('..') || !existsSync(join(ROOT, file))) return false;
  if (anchor === undefined || !file.endsWith('.md')) return true;
  return anchorsOf(readFileSync(join(ROOT, file), 'utf8')).has(anchor);
}

/** As GitHub names headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#{1,6}\s+(.+?)\s*$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('documents', () => {
  test('links: lead to files and headings of this repository', () => {
    const pages = textFiles(/\.md$/);
    expect(pages.length).toBeGreaterThan(0);
    expect(pages.flatMap(brokenLinksOf)).toEqual([]);
  });

  test('check: catches links that lead nowhere', () => {
    const text = `
[a](absent.md) [b](../docs/LIMITS.md) [c](LIMITS.md#absent) [d](#here) [e](#there) [f](https://example.org/x) [g]: x
[h](../../outside.md) \`[i](absent.md)\` [j](LIMITS.md "title")
# Here
\`\`\`
[k](absent.md)
\`\`\`
`;
    const broken = brokenLinksOf({ path: 'docs/page.md', text });
    const targets = ['absent.md', 'LIMITS.md#absent', '#there', '../../outside.md'];
    expect(broken).toEqual(targets.map((target) => `docs/page.md: ${target}`));
  });
});

describe('what is committed', () => {
  test('files: name no path of the machine they were written on, and no registry', () => {
    expect(textFiles().flatMap(placesOf)).toEqual([]);
  });

  test('check: catches paths and hosts', () => {
    // Put together here, since this file is looked through as well.
    const text = ['work', 'tmp/some_jobs', 'root'].map((folder) => `see "/${folder}/x"`);
    text.push(...REGISTRIES.slice(0, 2).map((host) => `https://${host}/x`));
    expect(placesOf({ path: 'a', text: text.join('\n') })).toHaveLength(5);
  });

  test('check: leaves alone what a guest has, and what only looks alike', () => {
    const text = 'HOME=/root PATH=$x/work/a ./work/b https://example.org/work/c /network/ "/root" (join(a, "work/x"))';
    expect(placesOf({ path: 'a', text })).toEqual([]);
  });
});
