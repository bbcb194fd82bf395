import { z } from 'zod';
import { recipeFileSchema } from '../schema.ts';
import { COMPRESSIONS } from './together.ts';

/** What an editor shows of each member. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  format: 'Version of this format: 1.',
  name: 'What the runtime is called, in lists and in `--runtime`.',
  extends:
    'Folder of the recipe that this one adds to ("./base"), the name of an official one, or what names a published runtime: item_hash, NAME@VERSION, ADDRESS/NAME.',
  version: 'For people; default "1".',
  description: 'One line for lists.',
  labels: 'Facts of your own, kept in the manifest.',
  distribution: 'Whose packages are installed.',
  suite: 'Code name of the release, such as bookworm.',
  components: 'Parts of the archive; default those of the mirrors of the building machine, or main.',
  architecture: 'Default amd64.',
  variant:
    'What is there before `packages`, as in mmdebstrap; `extract` unpacks named packages alone. Default minbase.',
  mirrors: 'Where packages come from, asked in this order; default those of the building machine.',
  keyring: 'Keys that sign the archive: a file beside the recipe; default those of the building machine.',
  packages: 'Packages to install, with what they depend on and without what they recommend.',
  exclude: 'Patterns of paths that dpkg does not unpack.',
  include: 'Patterns of paths that dpkg unpacks all the same.',
  remove: 'Patterns of paths that are removed at the end.',
  npm: 'Packages of the npm registry, of which files are copied.',
  files: 'Files of your own.',
  links: 'Symbolic links, by their path.',
  directories: 'Folders and their modes, with variant extract.',
  applets: 'A program such as busybox that gets a link for each of its names, with variant extract.',
  run: 'Commands of the shell, run in the image without network, after packages, files and links are in.',
  environment: 'Variables of programs, and of `run`.',
  user: 'Whom programs run as; default root.',
  interpreters: 'Paths of the interpreters in the image.',
  init: 'Who is PID 1: init0 of the boot kit, init0 in the image, or what the distribution has (instances). Default kit.',
  filesystem: 'What the image becomes; default erofs.',
  'filesystem.format': 'Default erofs. Instances need btrfs.',
  'filesystem.compression': 'Default lz4hc with erofs, zstd with squashfs.',
  'filesystem.clusterKiB': 'How much is compressed, and so read, at once.',
  'filesystem.maxSizeMiB': 'A larger image fails the build; default 1024.',
  'filesystem.freeMiB': 'Room that is left in an ext4 or btrfs image.',
};

type JsonSchema = z.core.JSONSchema.JSONSchema;

const isSaid = (member: string, schema: JsonSchema): JsonSchema => ({
  required: [member],
  properties: { [member]: schema },
});
/** The keyword would make any object that has it as a member a promise to `await`: here it is only written. */
const rule = (condition: JsonSchema, consequence: JsonSchema): JsonSchema =>
  Object.fromEntries([
    ['if', condition],
    ['then', consequence],
  ]);
const none: JsonSchema = { maxItems: 0 };

/** Rules of several members, as far as they are of this file alone: what it extends an editor does not know. */
const TOGETHER: JsonSchema[] = [
  { anyOf: [{ required: ['extends'] }, { required: ['distribution', 'suite'] }] },
  rule(isSaid('variant', { const: 'extract' }), { properties: { include: none, remove: none } }),
  ...Object.entries(COMPRESSIONS).map(([format, compressions]) => {
    const refused = format === 'erofs' || format === 'squashfs' ? { freeMiB: false } : { clusterKiB: false };
    const members = { compression: { enum: [...compressions] }, ...refused };
    const isFormat = isSaid('filesystem', isSaid('format', { const: format }));
    return rule(isFormat, { properties: { filesystem: { properties: members } } });
  }),
];

/** The recipe's JSON schema (draft 7), for editors: what it accepts by itself is what the builder accepts. */
export function recipeJsonSchema(): Record<string, unknown> {
  const { $schema, ...generated } = z.toJSONSchema(recipeFileSchema, { target: 'draft-7', io: 'input' });
  for (const [name, description] of Object.entries(DESCRIPTIONS)) memberOf(generated, name).description = description;
  const title = 'Recipe of a vmlet runtime';
  return { $schema, title, description: 'recipe.yaml: how a runtime is made', ...generated, allOf: TOGETHER };
}

function memberOf(schema: JsonSchema, name: string): JsonSchema {
  let at = schema;
  for (const step of name.split('.')) {
    const below = at.properties?.[step];
    if (typeof below !== 'object') throw new Error(`Cannot describe "${name}": it is no member, expected one`);
    at = below;
  }
  return at;
}
