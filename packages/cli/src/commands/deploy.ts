import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { programName, variable, wholeNumber } from '../option-values.ts';
import type { Output } from '../output.ts';
import { type Deployment, type DeployRequest, type DeployTarget, deployFolder } from '../publish/deploy.ts';
import { absoluteSource, isSource } from '../publish/import-source.ts';
import { onMessagePath, readOnMessage } from '../publish/on-message.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { prepare } from '../publish/prepare.ts';
import { readRuntimeName } from '../publish/runtime-names.ts';
import { checkReachable } from './check-reachable.ts';
import { listPrepared } from './deploy-list.ts';
import { watchAndDeploy } from './deploy-watch.ts';

/** No machine starts with less, in MiB: the kernel, init0 and a launcher take that. */
const MIN_MEMORY_MIB = 112;

/** The values of options that nobody gave; the demo deploys with them too. */
export const DEPLOY_DEFAULTS = { memory: 256, vcpus: 1, seconds: 30 };

interface DeployOptions {
  runtime?: string;
  entrypoint?: string;
  command?: string;
  name?: string;
  wait?: boolean;
  memory: number;
  vcpus: number;
  seconds: number;
  env?: Record<string, string>;
  snapshot?: boolean;
  internet?: boolean;
  http?: boolean;
  onMessage?: string;
  onMessagePath?: string;
  channel?: string;
  ownCommand?: boolean;
  bundle?: boolean;
  install?: boolean;
  list?: boolean;
  watch?: boolean;
}

/** `vmlet deploy`. */
export function registerDeploy({ program, run }: Cli): void {
  const { memory, vcpus, seconds } = DEPLOY_DEFAULTS;
  const command = program
    .command('deploy')
    .summary('publish a folder or file as a program and print its URL')
    .description(
      'Finds out what program a folder holds (Python, Node.js or an executable), packs it with what it depends on, ' +
        'uploads what the node lacks, and publishes a signed PROGRAM message. What it guesses it says, with the reason. ' +
        'Its name then leads to it: the URL stays from one version to the next, and a version that does not start never ' +
        'takes the place of one that serves. Prints the URL, the URL on a host name of its own, and the item_hash, a ' +
        'line each.',
    )
    .argument('[path]', 'folder with the program, or one file (default: ".")')
    .option(
      '-r, --runtime <name|hash|folder>',
      'official runtime, item_hash or name of a published one, ./folder of a recipe, or oci:PATH, docker:PATH, tar:FILE, dir:PATH (default: by the kind of program)',
    )
    .option('-e, --entrypoint <name>', 'main:app, server.js or bin/server (default: guessed)')
    .addOption(
      new Option('-c, --command <line>', 'command that serves on $PORT, in place of an entrypoint').conflicts(
        'entrypoint',
      ),
    )
    .option(
      '--name <name>',
      'its name, and the first label of its host name (default: that of the folder)',
      programName,
    )
    .option('--wait', 'move the name when the program has started (default: where another version serves)')
    .option('--no-wait', 'move the name at once')
    .option(
      '--memory <MiB>',
      'memory of its machine',
      wholeNumber('--memory', { min: MIN_MEMORY_MIB, max: 1_048_576 }),
      memory,
    )
    .option('--vcpus <n>', 'processors of its machine', wholeNumber('--vcpus', { min: 1, max: 256 }), vcpus)
    .option(
      '--seconds <s>',
      'how long one request may take',
      wholeNumber('--seconds', { min: 1, max: 86_400 }),
      seconds,
    )
    .option('--env <NAME=VALUE>', 'environment variable, public; may be given again', variable)
    .option('--no-snapshot', 'start it from nothing each time: nothing of its memory is kept on disk')
    .option('--internet', 'let it reach the internet, and not only be reached')
    .option('--on-message <json|file>', 'messages that it listens to: {"channel":"TEST"}, a list of such, or a file')
    .option('--on-message-path <path>', 'where they are posted to (default: /)', onMessagePath)
    .option('--no-http', 'visitors may not ask it; messages reach it')
    .option('--channel <name>', 'channel of the messages (default: VMLET)')
    .option('--own-command', 'run what the image of the runtime starts by itself; the folder goes along as data')
    .option('--bundle', 'make one file of a program for Node.js and its packages')
    .option('--install', 'install package.json inside the runtime, whatever is in node_modules')
    .option('--no-install', 'pack node_modules as it is')
    .option('-l, --list', 'show what would be packed, with sizes, and deploy nothing')
    .option('--dry-run', 'the same as --list')
    .option('-w, --watch', 'deploy again when something changes, until Ctrl-C');
  addExamples(command, [
    ['vmlet deploy', 'the program in this folder'],
    ['vmlet deploy ./app --name shop', 'the next version of "shop", without a request lost'],
    ['vmlet deploy ./app --entrypoint api:app --memory 512', 'told which application, and with more memory'],
    ['vmlet deploy ./server --command "./server --port 8080"', 'one executable, with arguments'],
    [`vmlet deploy ./app --on-message '{"channel":"TEST"}'`, 'told of each message of a channel'],
    ['vmlet deploy --runtime oci:./web.tar', 'an image of another world, as it is'],
    ['vmlet deploy ./app --list', 'what would be packed, and what is large in it'],
    ['vmlet deploy ./app --watch', 'again whenever a file changes'],
    ['curl "$(vmlet deploy ./app | head -n 1)"', 'deploy and call it'],
  ]);
  command.action(async (path: string | undefined, options: DeployOptions & { dryRun?: boolean }, self: Command) => {
    const { dryRun = false, list = dryRun, ...rest } = options;
    await run(self, (context) => deploy(path, { ...rest, list }, context));
  });
}

async function deploy(path: string | undefined, options: DeployOptions, context: Context): Promise<undefined> {
  const { output, signal, cwd } = context;
  const { memory: memoryMiB, env: variables = {}, list, watch, onMessage: told, ...rest } = options;
  const onMessage = told === undefined ? undefined : await readOnMessage(told, { cwd });
  const folder = { folder: resolve(cwd, path ?? '.'), isFolderDefault: path === undefined };
  const request: DeployRequest = { ...rest, ...folder, memoryMiB, variables, onMessage };
  // What has a slash is a folder, or the name of another publisher's.
  if (rest.runtime !== undefined && isSource(rest.runtime)) request.runtime = await absoluteSource(rest.runtime, cwd);
  else if (rest.runtime?.includes('/') && readRuntimeName(rest.runtime) === undefined)
    request.runtime = resolve(cwd, rest.runtime);
  if (list) {
    listPrepared(await prepare(request, { output, signal }), output);
    return;
  }
  const target = await targetOf(context);
  if (Object.keys(variables).length > 0) {
    output.warn('variables are part of a public message: anyone can read them, so put no secret there');
  }
  if (watch) await watchAndDeploy(request, target);
  else show(await deployFolder(request, target), output);
}

async function targetOf(context: Context): Promise<DeployTarget> {
  const { output, paths, signal, env } = context;
  const node = await locateNode(context);
  await checkReachable(node, signal);
  const npmConfig = env.npm_config_userconfig ?? (env.HOME ? resolve(env.HOME, '.npmrc') : undefined);
  return { node, paths, output, signal, npmConfig, signer: () => loadSigner(paths.config, output) };
}

function show(deployment: Deployment, output: Output): void {
  if (output.isJson) {
    output.json(deployment);
    return;
  }
  const { url, hostUrl, itemHash, code } = deployment;
  if (!code.uploaded) output.note('The node had the code already: nothing was uploaded');
  output.line(url);
  if (hostUrl !== null) output.line(hostUrl);
  output.line(itemHash);
}
