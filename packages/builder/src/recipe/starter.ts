/** What a recipe can be begun with. */
export type StarterKind = 'python' | 'node' | 'minimal';

interface Starter {
  base: string;
  what: string;
  packages: string;
  /** Files as a runtime of its kind has them; of the form that follows `files:`. */
  files: string;
  /** What a runtime of its kind may have besides; commented out. */
  more: string;
}

const MOTD = `  - path: /etc/motd
    content: |
      Made from a recipe.
`;
const RUN = `
# Commands of the shell, run in the image at the end, without network.
# run:
#   - useradd --system app

# Whom programs run as.
# user: app
`;

const STARTERS: Readonly<Record<StarterKind, Starter>> = {
  python: {
    base: 'debian-12-python',
    what: 'Debian 12 with Python 3.11, and what is added here',
    packages: 'python3-yaml',
    files: MOTD,
    more: RUN,
  },
  node: {
    base: 'debian-11-node',
    what: 'Debian 11 with Node.js, and what is added here',
    packages: 'jq',
    files: MOTD,
    more: RUN,
  },
  minimal: {
    base: 'minimal',
    what: 'A busybox shell, and what is added here',
    packages: 'netbase',
    files: `  - path: /usr/local/bin/hello
    mode: "0755"
    content: |
      #!/bin/sh
      echo Hello from a runtime of my own
`,
    more: '',
  },
};

/** Where a starter looks for the schema that editors complete by. */
export const SCHEMA_FILE = 'recipe.schema.json';

/** The text of a recipe to begin with, which builds as it is. */
export function starterRecipe(name: string, kind: StarterKind): string {
  const { base, what, packages, files, more } = STARTERS[kind];
  const isUnpacked = kind === 'minimal';
  return `# yaml-language-server: $schema=${SCHEMA_FILE}
# Build it:      vmlet runtime build ./${name}
# Deploy on it:  vmlet deploy ./app --runtime ./${name}
format: 1
name: ${name}
version: "1"
description: ${what}

# An official runtime, a recipe in another folder ("../base"), or a published runtime. All of it is here, too.
extends: ${base}

# Packages of Debian${isUnpacked ? ', unpacked as they are' : ', with what they depend on'}.
packages:
  - ${packages}

# Files of your own: their text, or \`source\` for a file beside this one.
files:
${files}
# Variables that programs find set.
environment:
  GREETING: Hello from ${name}
${more}
# filesystem:
#   format: squashfs # smaller; the default is erofs, quicker to start from
#   maxSizeMiB: 512 # a larger image fails the build
`;
}
