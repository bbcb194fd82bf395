/** From a program's refs to verified images on disk. */
export { CodeImages } from './code-image/image.ts';
export { initOf, type Launch, languageOf, launcherArgv } from './launcher.ts';
export {
  factsOf,
  manifestOf,
  type ProgramFacts,
  type RunnableProgram,
  resolveProgram,
} from './resolve.ts';
