/** Images of other worlds -> a root filesystem and what it says of how it is run. */
export { buildImport, type ImportBuild } from './build.ts';
export { ImportError } from './errors.ts';
export { type ImportResult, importTree } from './import-tree.ts';
export { type ImportSource, parseSource } from './source.ts';
