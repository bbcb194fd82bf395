/** Images of other worlds -> a root filesystem and what it says of how it is run. */
export { buildImport, type ImportBuild, type ImportedRuntime } from './build.ts';
export { ImportError } from './errors.ts';
export { type ImportResult, importTree } from './import-tree.ts';
export { type ImportSource, isSource, parseSource } from './source.ts';
