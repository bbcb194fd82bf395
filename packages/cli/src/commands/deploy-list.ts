import type { Output } from '../output.ts';
import { largestOf } from '../pack/sizes.ts';
import type { Prepared } from '../publish/prepare.ts';
import { cleanLine, formatBytes, formatTable } from '../terminal-text.ts';

/** `vmlet deploy --list`: what would be packed, with sizes; each installed package as one. */
export function listPrepared({ plan, files, made, folder, modules }: Prepared, output: Output): void {
  const all = [...files, ...made].map(({ path, sizeBytes }) => ({ path, sizeBytes }));
  const sizeBytes = all.reduce((total, file) => total + file.sizeBytes, 0);
  const { kind, entrypoint, args, runtime } = plan;
  if (output.isJson) {
    const { ignored } = folder;
    output.json({ kind, entrypoint, args, runtime, modules: modules.from, files: all, sizeBytes, ignored });
    return;
  }
  const sizes = new Map<string, { sizeBytes: number; files: number }>();
  for (const file of all) {
    const shown = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file.path)?.[1];
    const key = shown === undefined ? file.path : `${shown}/`;
    const known = sizes.get(key) ?? { sizeBytes: 0, files: 0 };
    sizes.set(key, { sizeBytes: known.sizeBytes + file.sizeBytes, files: known.files + 1 });
  }
  const rows = [...sizes].map(([path, each]) => [formatBytes(each.sizeBytes).padStart(8), cleanLine(path)]);
  for (const line of formatTable(rows)) output.line(line);
  output.line(`${formatBytes(sizeBytes).padStart(8)}  in ${all.length} files`);
  const largest = largestOf(all).slice(0, 5);
  if (all.length > 20)
    output.note(
      `Most of it: ${largest.map((each) => `${cleanLine(each.path)} (${formatBytes(each.sizeBytes)})`).join(', ')}`,
    );
  if (modules.from === 'install') output.note('Packages of package.json come to it when it is deployed');
}
