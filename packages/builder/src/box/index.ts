/** Where strangers' recipes, packages and images are worked on: neither root of the host, nor seeing anything of it. */
export { type Box, type BoxRun, openBox } from './box.ts';
export { takeFile } from './take-file.ts';
export { BoxUnavailable } from './unavailable.ts';
