/** Recipes for tests: what the builder takes and refuses, and editors with it. */

/** A recipe of the first version, with everything that had to be said then. */
export const GOOD = `format: 1
name: small
version: "1"
description: A test
distribution: debian
suite: bookworm
architecture: amd64
variant: minbase
packages:
  - python3
  - python3-flask # a comment
remove:
  - /var/log/*
interpreters:
  python: /usr/bin/python3
init: kit
filesystem:
  format: erofs
  compression: lz4hc
  maxSizeMiB: 90
`;
/** What may follow `GOOD`. */
export const NPM = `npm:
  - package: tool
    version: 1.2.3
    integrity: sha512-${'A'.repeat(86)}==
    copy:
      - from: bin/tool
        to: /opt/tool
`;
/** A recipe that only unpacks. */
export const EXTRACT = GOOD.replace('minbase', 'extract').replace('remove:\n  - /var/log/*\n', '');

/** A recipe with all members that go together. */
export const EVERYTHING = `${GOOD}${NPM}labels:
  org.example/team: web
components: [main, non-free-firmware]
mirrors:
  - http://mirror.example/debian
  - { url: https://other.example/debian, keyring: keys/other.gpg }
keyring: keys/archive.gpg
files:
  - { path: /etc/motd, content: hello, mode: "0600" }
  - { path: /etc/app.conf, source: etc/app.conf }
links:
  /usr/bin/tool: /opt/tool
run:
  - useradd --system app
  - run: |
      make -C /opt/tool
    env: { PREFIX: /usr }
environment:
  LANG: C.UTF-8
user: app:app
`;

/** A recipe on top of a published runtime. */
export const ON_PUBLISHED = `format: 1
name: on-top
extends: ${'ab'.repeat(32)}
files:
  - { path: /etc/motd, content: hello }
`;

interface Bad {
  name: string;
  text: string;
  fault: RegExp;
  /** Editors cannot see it: it is about the text, or about several members. */
  isUnseen: boolean;
}

type Row = readonly [name: string, text: string, fault: RegExp];

const ROWS: Row[] = [
  ['a wrong value', GOOD.replace('amd64', 'arm64'), /^r\.yaml:7:\d+: "architecture": /],
  ['a bad list entry', GOOD.replace('python3-flask', '-rm'), /^r\.yaml:11:\d+: "packages\.1": /],
  ['a bad value deep inside', GOOD.replace('lz4hc', 'zstd'), /^r\.yaml:19:\d+: "filesystem\.compression": /],
  ['a number that is none', GOOD.replace('90', 'many'), /^r\.yaml:20:\d+: "filesystem\.maxSizeMiB": /],
  [
    'something where init0 goes',
    `${GOOD.replace('init: kit', 'init: image')}files: [{ path: /sbin/init, content: x }]\n`,
    /^r\.yaml:16:\d+: "init": expected nothing at "\/sbin\/init"/,
  ],
  ['a missing key', GOOD.replace('suite: bookworm\n', ''), /^r\.yaml:1:\d+: "suite": /],
  ['a key that nobody knows', `${GOOD}pakages: []\n`, /^r\.yaml:21:\d+: .*pakages/],
  [
    'a path that goes up',
    GOOD.replace('/var/log/*', '/var/../etc'),
    /^r\.yaml:13:\d+: "remove\.0": expected a path without "\.\."/,
  ],
  ['an interpreter that nobody knows', GOOD.replace('  python:', '  perl:'), /^r\.yaml:15:\d+: /],
  ['a newer format', GOOD.replace('format: 1', 'format: 2'), /^r\.yaml:1:\d+: "format": /],
  ['a key twice', `${GOOD}init: kit\n`, /^r\.yaml:21:\d+: /],
  ['text that is no YAML', 'a: [1\nb: }', /^r\.yaml:\d:\d+: /],
  ['an empty file', '', /^r\.yaml:1:\d+: /],
  ...(
    [
      [
        'a range of versions',
        NPM.replace('1.2.3', '^1.2.3'),
        /^r\.yaml:23:\d+: "npm\.0\.version": expected one exact version/,
      ],
      ['a weaker hash', NPM.replace('sha512-', 'sha1-'), /^r\.yaml:24:\d+: "npm\.0\.integrity": /],
      ['a name that is an option', NPM.replace('tool', '-rf'), /^r\.yaml:22:\d+: "npm\.0\.package": /],
      ['a package of elsewhere', NPM.replace('tool', '../tool'), /^r\.yaml:22:\d+: "npm\.0\.package": /],
      [
        'a copy from outside',
        NPM.replace('bin/tool', 'bin/../../tool'),
        /^r\.yaml:26:\d+: .*expected a path without "\.\."/,
      ],
      [
        'a copy to outside',
        NPM.replace('/opt/tool', '/opt/../../tool'),
        /^r\.yaml:27:\d+: .*expected a path without "\." and "\.\."/,
      ],
      [
        'a file of two kinds',
        'files:\n  - { path: /a, content: a, source: b }\n',
        /^r\.yaml:22:\d+: "files\.0": expected one of/,
      ],
      ['a file of no kind', 'files:\n  - { path: /a }\n', /^r\.yaml:22:\d+: "files\.0": expected one of/],
      ['a mode without its zero', 'files:\n  - { path: /a, content: a, mode: "755" }\n', /^r\.yaml:22:\d+: .*"0755"/],
      ['a link below a link', 'links:\n  /a: /etc\n  /a/b: c\n', /^r\.yaml:23:\d+: .*expected no link above it/],
      ['applets of a whole system', 'applets: /bin/busybox\n', /^r\.yaml:21:\d+: .*"extract" only/],
      [
        'joined files of a whole system',
        'files:\n  - { path: /a, concat: /b* }\n',
        /^r\.yaml:22:\d+: .*"extract" only/,
      ],
      ['removals of the shell', 'exclude:\n  - usr/share\n', /^r\.yaml:22:5: "exclude\.0": expected a pattern/],
      ['a base of a host', 'extends: https://x.example/y\n', /^r\.yaml:21:10: "extends": expected a folder/],
      [
        'a mirror with a password',
        'mirrors: ["http://u:p@x.example/"]\n',
        /^r\.yaml:21:11: "mirrors\.0": .*without user/,
      ],
      [
        'a mirror of a file',
        'mirrors: [{ url: "file:///srv" }]\n',
        /^r\.yaml:21:18: "mirrors\.0\.url": expected a URL/,
      ],
      ['a keyring that goes up', 'keyring: ../keys.gpg\n', /^r\.yaml:21:10: "keyring": expected a path without/],
      ['no component', 'components: []\n', /^r\.yaml:21:1: "components": expected at least 1 entry, found a list of 0/],
      ['a step that is none', 'run: [3]\n', /^r\.yaml:21:7: "run\.0": expected text or a map, found 3/],
      [
        'a step without commands',
        'run: [{ env: { A: b } }]\n',
        /^r\.yaml:21:7: "run\.0\.run": expected text, found nothing/,
      ],
      ['a variable with a sign', 'environment: { "A=B": c }\n', /^r\.yaml:21:16: "environment\.A=B": expected a name/],
      ['a variable that is a number', 'environment: { A: 3.10 }\n', /: write "3\.10" in quotes$/],
      ['a variable that is true', 'environment: { A: true }\n', /: write "true" in quotes$/],
      [
        'a mode that is a number',
        'files: [{ path: /a, content: a, mode: 0755 }]\n',
        /found 0755: write "0755" in quotes$/,
      ],
      ['a file that is no text', 'files: [{ path: /a, content: 1 }]\n', /write "1" in quotes$/m],
      ['a user of several words', 'user: a b\n', /^r\.yaml:21:7: "user": expected a user of the image/],
      [
        'a user that is a number',
        'user: 1000\n',
        /^r\.yaml:21:7: "user": expected text, found 1000: write "1000" in quotes/,
      ],
      [
        'a label that is a list',
        'labels: { a: [b] }\n',
        /^r\.yaml:21:11: "labels\.a": expected text, found a list of 1/,
      ],
      ['a list that is empty', 'components:\n', /^r\.yaml:21:12: "components": expected a list, found nothing/],
      ['a member by another name', 'Environments: {}\n', /unknown member, did you mean "environment"\?$/],
      ['a member of mkosi', 'RemoveFiles: []\n', /unknown member, did you mean "remove"\?$/],
      ['a member like no other', 'zzzzzzzzzzzz: []\n', /unknown member, expected one of format, name, extends, /],
      ['a member of a file by another name', 'files: [{ path: /a, contents: a }]\n', /did you mean "content"\?$/m],
    ] satisfies Row[]
  ).map(([name, text, fault]): Row => [name, `${GOOD}${text}`, fault]),
  [
    'commands among removals',
    GOOD.replace('/var/log/*', '/x; id'),
    /^r\.yaml:13:5: "remove\.0": .*nothing of the shell/,
  ],
  ['a filesystem that is near one', GOOD.replace('erofs', 'eorfs'), /found "eorfs": did you mean "erofs"\?$/],
  ['a size that is no whole number', GOOD.replace('90', '9.5'), /expected a whole number, found 9\.5$/],
  ['a size of nothing', GOOD.replace('90', '0'), /expected more than 0, found 0$/],
  ['a size over all', GOOD.replace('90', '5000'), /expected at most 4096, found 5000$/],
  [
    'compression of another filesystem',
    GOOD.replace('erofs', 'squashfs'),
    /expected "none", "gzip", "lz4", "xz", "zstd" with squashfs/,
  ],
  [
    'clusters of what has none',
    GOOD.replace('erofs', 'ext4').replace('compression: lz4hc', 'clusterKiB: 4'),
    /expected none with ext4$/,
  ],
  [
    'room in what nothing writes to',
    GOOD.replace('maxSizeMiB', 'freeMiB'),
    /"filesystem\.freeMiB": expected none with erofs/,
  ],
  ['a base of no kind', ON_PUBLISHED.replace(/extends: .*/, 'extends: A b'), /^r\.yaml:3:10: "extends": /],
  [
    'an environment that no message can hold',
    `${GOOD}environment: { A: ${'a'.repeat(4000)}, B: ${'b'.repeat(4000)}, C: ${'c'.repeat(4000)}, D: ${'d'.repeat(4000)} }\n`,
    /^r\.yaml:21:1: "environment": expected at most 16000 characters/,
  ],
  [
    'clusters that erofs cannot',
    GOOD.replace('maxSizeMiB: 90', 'clusterKiB: 512'),
    /expected at most 64 with erofs, found 512$/,
  ],
  [
    'what only unpacks, and is to unpack more',
    `${EXTRACT}include: [/a]\n`,
    /"include": expected none with variant "extract"$/,
  ],
  [
    'how a published base was made',
    `${ON_PUBLISHED}variant: apt\n`,
    /"variant": expected none with a published runtime$/,
  ],
  [
    'packages on a base of unknown suite',
    `${ON_PUBLISHED}packages: [jq]\n`,
    /^r\.yaml:6:1: "packages": expected "distribution"/,
  ],
];
/** What is about the text, or about members that an editor does not compare. */
const UNSEEN = [
  ...['something where init0 goes', 'a key twice', 'text that is no YAML', 'a link below a link'],
  'an environment that no message can hold',
  ...['applets of a whole system', 'joined files of a whole system', 'clusters that erofs cannot'],
  ...['room in what nothing writes to', 'how a published base was made', 'packages on a base of unknown suite'],
];

/** Recipes that are refused, with the fault that is named; their file is `r.yaml`. */
export const BAD: Bad[] = ROWS.map(([name, text, fault]) => ({ name, text, fault, isUnseen: UNSEEN.includes(name) }));
