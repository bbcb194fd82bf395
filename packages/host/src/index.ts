/** What every part that touches the host needs: native commands, whole-file writes, folders. */
export { readJsonIfExists, syncDirectory, writeFileAtomic } from './files.ts';
export { type Paths, resolvePaths } from './paths.ts';
export { CommandFailed, killProcessGroup, run } from './process.ts';
export { makeWorkFolder, sweepAbandoned } from './work-folder.ts';
