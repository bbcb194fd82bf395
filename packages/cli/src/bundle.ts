import { posix } from 'node:path';
import { CliError } from './errors.ts';
import { fileEntry, type ZipEntry } from './pack/zip.ts';

/** One file made of a program and its packages. */
export interface Bundle {
  /** The bundle, its source map, and the module that loads both. */
  readonly entries: readonly ZipEntry[];
  /** Paths of what is in it, below the folder. */
  readonly inputs: ReadonlySet<string>;
  readonly entrypoint: string;
  readonly sizeBytes: number;
}

/** What esbuild says of a failure. */
interface Failure {
  errors: readonly { text: string; location: { file: string; line: number } | null }[];
}

/** The oldest Node.js of the official runtime. */
const TARGET = 'node22';
/** Modules of CommonJS in an ES module ask for what Node.js brings by `require`. */
const REQUIRE =
  "import { createRequire as vmletRequire } from 'node:module'; const require = vmletRequire(import.meta.url);";

/**
 * Bundles a program for Node.js with its packages. Nothing of either is run: esbuild reads and writes sources, and no
 * plugin takes part. The same sources make the same bytes.
 * @param folder absolute path
 * @throws CliError `BUNDLE_FAILED`
 */
export async function bundleProgram(folder: string, entrypoint: string, signal: AbortSignal): Promise<Bundle> {
  signal.throwIfAborted();
  // Loaded late: few deployments bundle.
  const { build, stop } = await import('esbuild');
  const [path, name] = splitExport(entrypoint);
  const base = posix.join(posix.dirname(path), posix.basename(path).replace(/\.[^.]+$/, ''));
  const outfile = `${base}.bundled.mjs`;
  const starter = `${base}.bundle.mjs`;
  try {
    const result = await build({
      ...{ absWorkingDir: folder, entryPoints: [path], outfile, write: false, bundle: true, metafile: true },
      ...{ platform: 'node', format: 'esm', target: TARGET, sourcemap: 'linked', charset: 'utf8' },
      ...{ logLevel: 'silent', banner: { js: REQUIRE }, plugins: [] },
    });
    const entries = result.outputFiles.map((file) => {
      const bytes = Buffer.from(file.contents);
      return fileEntry(file.path.endsWith('.map') ? `${outfile}.map` : outfile, bytes);
    });
    const inputs = new Set(Object.keys(result.metafile.inputs).map((input) => posix.normalize(input)));
    const sizeBytes = entries.find((entry) => entry.path === outfile)?.sizeBytes ?? 0;
    const exports = result.metafile.outputs[outfile]?.exports ?? [];
    const start = fileEntry(starter, Buffer.from(starterOf(posix.basename(outfile), exports)));
    return { entries: [start, ...entries], inputs, entrypoint: `${starter}${name}`, sizeBytes };
  } catch (error) {
    throw isFailure(error) ? bundleFailure(entrypoint, error) : error;
  } finally {
    await stop();
  }
}

/**
 * The module that the launcher loads: Node.js reads the source map of a module as it compiles it, so that maps must be
 * wanted before. To the program it is as if it had been loaded itself.
 */
function starterOf(name: string, exports: readonly string[]): string {
  const bindings = exports.map((each, index) => `${JSON.stringify(each)}: e${index}`);
  const exported = exports.map((each, index) => `e${index} as ${each}`);
  return `process.setSourceMapsEnabled(true);
const url = new URL(${JSON.stringify(`./${name}`)}, import.meta.url);
process.argv[1] = process.getBuiltinModule('node:url').fileURLToPath(url);
const { ${bindings.join(', ')} } = await import(url.href);
export { ${exported.join(', ')} };
`;
}

function splitExport(entrypoint: string): [path: string, name: string] {
  const [, path = '', name = ''] = /^(.*?)(:[A-Za-z_$][\w$]*)?$/.exec(entrypoint) ?? [];
  return [path, name];
}

function isFailure(error: unknown): error is Error & Failure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

function bundleFailure(entrypoint: string, failure: Error & Failure): CliError {
  const lines = failure.errors.map(({ text, location }) =>
    location ? `${location.file}:${location.line}: ${text}` : text,
  );
  const found = failure.errors[0]?.text ?? failure.message;
  return new CliError('BUNDLE_FAILED', { operands: { entrypoint, found }, cause: failure, detail: lines.join('\n') });
}
