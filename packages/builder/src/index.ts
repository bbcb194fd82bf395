/** Recipe -> runtime image. */
export { type BuildOptions, type BuiltRuntime, ensureRuntime, findRuntime } from './build.ts';
export { makeErofs } from './filesystems/index.ts';
export { type ImageConfig, type Manifest, manifestSchema } from './manifest.ts';
export { FILESYSTEMS, type Filesystem, splitName } from './recipe/filesystem.ts';
