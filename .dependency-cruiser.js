/**
 * The arrows between the parts, one rule each; `comment` is the why. `npm run check:parts` holds the tree to them, and
 * tests/style/parts.test.ts proves that each rule catches what it forbids.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Tests, and what only tests use: `testing.ts`, compliance suites. Not shipped. */
const TEST_FILES = '\\.test\\.ts$|/testing\\.ts$|/compliance[a-z-]*\\.ts$|^packages/.+/test/';
const TEST = `${TEST_FILES}|^(tests|bench)/`;
/** Writes committed files when called by hand; nothing imports it. */
const GENERATORS = '/make-[a-z-]+\\.ts$';

/** What each package may use of the others, and why no more. */
const PACKAGES = {
  host: { uses: [], why: 'host is what touches the operating system for everybody: it stands on nothing of ours' },
  messages: { uses: [], why: 'The wire format is the same for node, CLI and anyone else: it depends on none of them' },
  'guest-protocol': {
    uses: [],
    why: 'Frames are shared with C and Python: what they mean depends on no other package',
  },
  builder: { uses: ['host'], why: 'An image is made from a recipe alone: no node, no message, no machine takes part' },
  guest: {
    uses: ['builder', 'host'],
    why: 'The boot kit is made before any node runs: it knows sources and packages only',
  },
  node: {
    uses: ['builder', 'guest', 'guest-protocol', 'host', 'messages'],
    why: 'The daemon uses the libraries; it never knows the command line that drives it',
  },
  cli: {
    uses: ['builder', 'guest-protocol', 'host', 'messages', 'node'],
    why: 'The command line drives nodes; of guests it knows what a node relays of a session, and nothing else',
  },
};

/** Must stay pure: the same bytes in, the same answer out, anywhere. */
const PURE = {
  messages: 'Hashing, signing and checking do no I/O: they run in the node, in the CLI and in a browser alike',
  'guest-protocol': 'Frames are bytes in, messages out: whoever holds the socket reads and writes',
};

/** Files at the root of the node's src that anything there may use, and that use nothing but each other. */
const NODE_LEAVES = ['errors', 'deadline', 'failpoint', 'disk-space', 'version', 'program-label', 'platform-headers'];

/**
 * The node's parts from the lowest up: each may use those before it, but for `never`. Edges meet the world outside
 * and never each other.
 */
const NODE_PARTS = [
  { part: 'telemetry', why: 'Everything reports to telemetry, so it can depend on nothing that reports' },
  {
    part: 'timelines',
    why: 'How starts went is told by those that start and serve: it is remembered and judged by what it was told alone',
  },
  { part: 'store', why: 'Folders, locks and SQLite know nothing of what is kept in them' },
  { part: 'keys', why: 'A key is a file and a signer: it decides nothing' },
  {
    part: 'pricing',
    never: ['telemetry', 'timelines', 'store', 'keys'],
    why: 'A price is calculated from a content, a table and sizes alone: who asks, and whether anything is charged, is known elsewhere',
  },
  { part: 'admission', why: 'Who may do what is decided from an address alone, whoever asks' },
  { part: 'content', why: 'Bytes by hash have no meaning here: what names them is the business of the ledger' },
  {
    part: 'backup',
    never: ['keys', 'admission'],
    why: 'A home is copied as files and a database, whatever they mean: the key of its owner is not in it',
  },
  { part: 'ledger', why: 'Accepting a message starts nothing: whoever wants to act on it subscribes' },
  {
    part: 'catalogue',
    never: ['keys', 'admission', 'content'],
    why: 'What is published under which name is read from messages in force, and changes none',
  },
  {
    part: 'deployments',
    never: ['telemetry', 'keys', 'admission', 'content', 'ledger', 'catalogue'],
    why: 'What owners decide of programs beside the messages is rows by item_hash: whatever they mean is known elsewhere',
  },
  { part: 'runtimes', why: 'From refs to verified files, whether or not a machine ever runs them' },
  {
    part: 'pins',
    never: ['telemetry', 'timelines', 'keys', 'deployments'],
    why: 'Which files are kept follows from messages and programs in force, whoever uploads, reads or runs them',
  },
  {
    part: 'snapshots',
    never: ['keys', 'admission', 'content', 'ledger', 'catalogue', 'runtimes'],
    why: 'Files of memory and state by key: what runs from them, and how they were made, is the business of others',
  },
  {
    part: 'machines',
    never: ['store', 'keys', 'admission', 'content', 'ledger', 'catalogue', 'deployments', 'runtimes', 'snapshots'],
    why: 'A machine is given paths of verified files: the part that faces hostile guests knows neither keys nor messages',
  },
  {
    part: 'starts',
    never: ['store', 'keys', 'admission', 'content', 'ledger', 'catalogue', 'deployments'],
    why: 'The quickest way from verified files to a machine is found by files and machines alone, whoever asks for it',
  },
  {
    part: 'guest-api',
    edge: true,
    why: 'Faces programs: it gets what it hands out from main.ts, never from another edge',
  },
  {
    part: 'executions',
    never: ['keys', 'admission', 'content', 'ledger', 'catalogue', 'deployments'],
    why: 'A program comes here admitted and resolved: its life does not depend on how it was published',
  },
  {
    part: 'checking',
    never: [
      ...['timelines', 'store', 'keys', 'pricing', 'admission', 'content', 'backup', 'ledger', 'catalogue'],
      ...['deployments', 'pins', 'snapshots', 'guest-api'],
    ],
    why: 'An image is judged by what its own machines show: who has published it, and whether anybody runs it, changes nothing',
  },
  { part: 'triggers', edge: true, why: 'Turns events into calls of executions; it serves nobody and no edge calls it' },
  {
    part: 'gateway',
    edge: true,
    never: [
      ...['store', 'keys', 'admission', 'content', 'ledger', 'catalogue', 'deployments', 'runtimes', 'snapshots'],
      'machines',
    ],
    why: 'On the way of every request: it asks executions for a place, and main.ts for the program that is meant',
  },
  {
    part: 'api',
    edge: true,
    never: ['keys', 'deployments', 'runtimes', 'snapshots', 'machines', 'executions'],
    why: 'The network API reads and writes messages and files: no visitor of it starts a machine',
  },
  { part: 'owner', edge: true, why: 'The socket of the owner shows all parts below, and none of the public edges' },
];

const NODE = '^packages/node/src/';
const either = (names) => `(${names.join('|')})`;
const LEAF_FILES = `${NODE}(${either(NODE_LEAVES)}\\.ts$|errors/)`;
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

function nodePartRules() {
  const edges = NODE_PARTS.filter(({ edge }) => edge).map(({ part }) => part);
  return NODE_PARTS.map(({ part, edge, never = [], why }, index) => {
    const below = NODE_PARTS.slice(0, index).map((lower) => lower.part);
    const uses = below.filter((lower) => !never.includes(lower) && !(edge && edges.includes(lower)));
    return {
      name: `node-${part}`,
      comment: why,
      from: { path: `${NODE}${part}/`, pathNot: TEST },
      to: { path: NODE, pathNot: [LEAF_FILES, `${NODE}${either([part, ...uses])}/`] },
    };
  });
}

function packageRules() {
  return Object.entries(PACKAGES).map(([name, { uses, why }]) => ({
    name: `package-${name}`,
    comment: why,
    from: { path: `^packages/${name}/`, pathNot: TEST },
    to: { path: '^packages/', pathNot: `^packages/${either([name, ...uses])}/` },
  }));
}

/**
 * From each package.json: what npm installs for a package is all it imports, and what `exports` names is all of it that
 * other packages see.
 */
function manifestRules() {
  const folder = join(import.meta.dirname, 'packages');
  const { devDependencies: shared = {} } = readJson(join(import.meta.dirname, 'package.json'));
  return readdirSync(folder).flatMap((name) => {
    const manifest = readJson(join(folder, name, 'package.json'));
    const own = Object.keys(manifest.dependencies ?? {});
    const forTests = [...own, ...Object.keys({ ...manifest.devDependencies, ...shared })];
    const entries = Object.values(manifest.exports ?? {}).map((path) => path.slice('./'.length).replaceAll('.', '\\.'));
    return [
      {
        name: `declared-${name}`,
        comment:
          'Installed alone, a package has its `dependencies`: no devDependency, nothing that npm hoisted by luck',
        from: { path: `^packages/${name}/`, pathNot: TEST },
        to: { path: '^(packages|node_modules)/', pathNot: installed(name, own) },
      },
      {
        name: `declared-${name}-tests`,
        comment: 'Tests may use devDependencies, of their package or of the root; nothing that npm hoisted by luck',
        from: { path: `^packages/${name}/` },
        to: { path: '^(packages|node_modules)/', pathNot: installed(name, forTests) },
      },
      {
        name: `entry-${name}`,
        comment: 'Other packages see what `exports` names; all else can change without asking them',
        from: { path: '^packages/', pathNot: `^packages/${name}/` },
        to: { path: `^packages/${name}/`, pathNot: `^packages/${name}/${either(entries)}$` },
      },
    ];
  });
}

/** Paths of a package's own files and of what it declares. */
function installed(name, dependencies) {
  const ours = dependencies.flatMap((key) => /^@vmlet\/(.+)$/.exec(key)?.slice(1) ?? []);
  return [`^packages/${either([name, ...ours])}/`, `^node_modules/${either([...dependencies, '@types'])}/`];
}

function pureRules() {
  return Object.entries(PURE).map(([name, why]) => ({
    name: `pure-${name}`,
    comment: why,
    from: { path: `^packages/${name}/src/`, pathNot: [TEST, GENERATORS] },
    to: { dependencyTypes: ['core'] },
  }));
}

const entryRules = [
  {
    name: 'parts-by-index',
    comment: 'A part is entered by its index.ts: what stands there is promised to the other parts, the rest is its own',
    from: { path: `${NODE}([^/]+)/` },
    to: { path: `${NODE}[^/]+/`, pathNot: [`${NODE}($1|errors)/`, '/index\\.ts$', TEST] },
  },
  {
    name: 'parts-by-index-from-outside',
    comment:
      'main.ts, tests and benches enter a part by its index.ts as other parts do; the style tests look everywhere, and ' +
      'fuzzing goes to the parser itself',
    from: { pathNot: [`${NODE}[^/]+/`, '^tests/(style|fuzz)/'] },
    to: { path: `${NODE}[^/]+/`, pathNot: [`${NODE}errors/`, '/index\\.ts$', TEST] },
  },
  {
    name: 'errors-by-errors-ts',
    comment: 'The catalogue is cut into files by subject; errors.ts is its one door',
    from: { pathNot: ['^packages/node/src/errors(\\.ts$|/)', '^tests/style/'] },
    to: { path: `${NODE}errors/` },
  },
  {
    name: 'node-leaves',
    comment: 'Every part may use these files, so they may use none',
    from: { path: LEAF_FILES, pathNot: TEST },
    to: { path: NODE, pathNot: LEAF_FILES },
  },
  {
    name: 'main-is-the-top',
    comment:
      'main.ts and the make-*.ts that it calls make all parts and give each what it needs; a part that imported them ' +
      'would see everything',
    from: { path: NODE, pathNot: `${NODE}([^/]+\\.test|main|make-[a-z]+)\\.ts$` },
    to: { path: `${NODE}(main|make-[a-z]+)\\.ts$` },
  },
];

const generalRules = [
  {
    name: 'no-cycles',
    comment: 'In a cycle nothing is lower than anything else: neither half can be read, tested or replaced alone',
    from: {},
    to: { circular: true },
  },
  {
    name: 'no-unresolvable',
    comment: 'An import that leads nowhere fails at run time, on a way that tests may not take',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'no-orphans',
    comment: 'A module that imports nothing and that nobody imports is dead, or its test is missing',
    from: { orphan: true, path: '^packages/', pathNot: [TEST, GENERATORS] },
    to: {},
  },
  {
    name: 'packages-by-name',
    comment: 'A relative path into another package goes round its `exports` and its place in package.json',
    from: { path: '^packages/([^/]+)/' },
    to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypesNot: ['aliased-workspace'] },
  },
  {
    name: 'shipped-code-stands-alone',
    comment: 'Tests, benches, examples and tools are not there where a package is installed',
    from: { path: '^packages/', pathNot: TEST },
    to: { path: '^(tests|bench|tools|examples)/' },
  },
  {
    name: 'shipped-code-without-test-support',
    comment: 'What is made for tests (testing.ts, compliance suites) keeps no promise of production code',
    from: { path: '^packages/', pathNot: TEST },
    to: { path: TEST_FILES },
  },
  {
    name: 'declared-root',
    comment:
      'Tests and benches use the workspaces and the devDependencies of the root; nothing that npm hoisted by luck',
    from: { path: '^(tests|bench)/' },
    to: {
      path: '^node_modules/',
      pathNot: `^node_modules/${either(Object.keys(readJson(join(import.meta.dirname, 'package.json')).devDependencies))}/`,
    },
  },
];

const rules = [
  ...generalRules,
  ...packageRules(),
  ...manifestRules(),
  ...pureRules(),
  ...entryRules,
  ...nodePartRules(),
];

export default {
  forbidden: rules.map((rule) => ({ severity: 'error', ...rule })),
  options: {
    // Types are arrows too: who needs a part's types cannot be understood without it.
    tsPreCompilationDeps: true,
    // Workspaces share the root's devDependencies.
    combinedDependencies: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(packages/[^/]+/node_modules|examples)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
