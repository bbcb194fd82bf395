import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { programName, variable, wholeNumber } from '../option-values.ts';
import type { Output } from '../output.ts';
import { type Deployment, deployFolder } from '../publish/deploy.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { checkReachable } from './check-reachable.ts';

/** The values of options that nobody gave; the demo deploys with them too. */
export const DEPLOY_DEFAULTS = { runtime: 'debian-12-python', memory: 256, vcpus: 1, seconds: 30 };

interface DeployOptions {
  runtime: string;
  entrypoint?: string;
  name?: string;
  wait?: boolean;
  memory: number;
  vcpus: number;
  seconds: number;
  env?: Record<string, string>;
  channel?: string;
}

/** `vmlet deploy`. */
export function registerDeploy({ program, run }: Cli): void {
  const { runtime, memory, vcpus, seconds } = DEPLOY_DEFAULTS;
  const command = program
    .command('deploy')
    .summary('publish a folder as a program and print its URL')
    .description(
      'Packs a folder, installs its requirements.txt inside the runtime, uploads what the node lacks, and publishes a ' +
        'signed PROGRAM message. Its name then leads to it: the URL stays from one version to the next, and a version that ' +
        'does not start never takes the place of one that serves. Prints the URL, the URL on a host name of its own, and ' +
        'the item_hash, a line each.',
    )
    .argument('[folder]', 'folder with the program', '.')
    .option('-r, --runtime <name|hash>', 'official runtime, or item_hash of one', runtime)
    .option('-e, --entrypoint <module:name>', 'ASGI or WSGI application (default: guessed)')
    .option(
      '--name <name>',
      'its name, and the first label of its host name (default: that of the folder)',
      programName,
    )
    .option('--wait', 'move the name when the program has started (default: where another version serves)')
    .option('--no-wait', 'move the name at once')
    .option('--memory <MiB>', 'memory of its machine', wholeNumber('--memory', { min: 64, max: 1_048_576 }), memory)
    .option('--vcpus <n>', 'processors of its machine', wholeNumber('--vcpus', { min: 1, max: 256 }), vcpus)
    .option(
      '--seconds <s>',
      'how long one request may take',
      wholeNumber('--seconds', { min: 1, max: 86_400 }),
      seconds,
    )
    .option('--env <NAME=VALUE>', 'environment variable, public; may be given again', variable)
    .option('--channel <name>', 'channel of the messages (default: VMLET)');
  addExamples(command, [
    ['vmlet deploy', 'the program in this folder'],
    ['vmlet deploy ./app --name shop', 'the next version of "shop", without a request lost'],
    ['vmlet deploy ./app --entrypoint api:app --memory 512', 'told which application, and with more memory'],
    ['curl "$(vmlet deploy ./app | head -n 1)"', 'deploy and call it'],
  ]);
  command.action(async (folder: string, options: DeployOptions, self: Command) => {
    await run(self, (context) => deploy(folder, options, context));
  });
}

async function deploy(folder: string, options: DeployOptions, context: Context): Promise<undefined> {
  const { output, paths, signal, cwd } = context;
  const node = await locateNode(context);
  await checkReachable(node, signal);
  const variables = options.env ?? {};
  if (Object.keys(variables).length > 0) {
    output.warn('variables are part of a public message: anyone can read them, so put no secret there');
  }
  const { runtime, entrypoint, name, wait, memory, vcpus, seconds, channel } = options;
  const deployment = await deployFolder(
    {
      ...{ runtime, entrypoint, name, wait, vcpus, seconds, channel, variables },
      folder: resolve(cwd, folder),
      memoryMiB: memory,
    },
    { node, paths, output, signal, signer: () => loadSigner(paths.config, output) },
  );
  show(deployment, output);
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
