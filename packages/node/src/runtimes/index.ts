/** From a program's refs to verified images on disk. */
export { CodeImages } from './code-image/image.ts';
export { UNPACK_LIMITS, type UnpackLimits } from './code-image/limits.ts';
export { initOf, type Launch, languageOf, launcherArgv } from './launcher.ts';
export { manifestOf, type ResolveComponents, type RunnableProgram, resolveProgram } from './resolve.ts';
