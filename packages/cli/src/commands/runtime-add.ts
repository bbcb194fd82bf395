import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { PublicApi } from '../client/api.ts';
import { locateNode } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { loadSigner } from '../publish/owner-key.ts';
import { publishRuntime } from '../publish/runtime.ts';
import { describeImage } from '../publish/runtime-image.ts';
import { checkReachable } from './check-reachable.ts';

interface AddOptions {
  manifest: string;
  channel?: string;
}

/** `vmlet runtime add`. */
export function registerRuntimeAdd({ program, run }: Cli): void {
  const command = program
    .command('add')
    .summary('publish an image of your own as a runtime')
    .description(
      'Publishes a root filesystem image (erofs, squashfs or ext4) with a manifest that says what is in it: name, ' +
        'interpreters, and who is its init. Size, hash and filesystem are read from the image. Prints the item_hash, by which ' +
        'anyone deploys on it.',
    )
    .argument('<image>', 'the image')
    .requiredOption('--manifest <file>', 'JSON; see docs/formats/manifest.md')
    .option('--channel <name>', 'label of the message');
  addExamples(command, [
    ['vmlet runtime add root.erofs --manifest manifest.json', 'publish it'],
    ['vmlet deploy ./app --runtime "$(vmlet runtime add root.erofs --manifest manifest.json)"', 'and deploy on it'],
  ]);
  command.action(async (image: string, options: AddOptions, self: Command) => {
    await run(self, (context) => add(image, options, context));
  });
}

async function add(image: string, options: AddOptions, context: Context): Promise<undefined> {
  const { output, paths, cwd, signal } = context;
  const node = await locateNode(context);
  await checkReachable(node, signal);
  output.step('Reading the image');
  const imagePath = resolve(cwd, image);
  const manifest = await describeImage(imagePath, resolve(cwd, options.manifest), signal);
  const signer = await loadSigner(paths.config, output);
  const publisher = { signer, api: new PublicApi(node.url), output, channel: options.channel, signal };
  const { itemHash } = await publishRuntime({ manifest, imagePath }, publisher);
  if (output.isJson) output.json({ itemHash, manifest });
  else output.line(itemHash);
}
