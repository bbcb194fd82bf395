import { CliError } from '../errors.ts';
import type { SourceFolder } from '../pack/walk.ts';
import { EXECUTABLE_EXPECTED, findExecutable } from './executable.ts';
import { findByName, findByPackage, missingModule, NODE_EXPECTED } from './node.ts';
import { type PackageJson, readPackage } from './package-json.ts';
import type { ProgramPlan } from './plan.ts';
import { findPython, PYTHON_EXPECTED, pythonModules } from './python.ts';
import { Sources } from './sources.ts';
import { planCommand, planEntrypoint, planFile } from './told.ts';

export type { ProgramPlan } from './plan.ts';

/** What the user said of the program; all of it may be absent. */
export interface Told {
  entrypoint?: string | undefined;
  command?: string | undefined;
  /** The one file that was named in place of a folder. */
  file?: string | undefined;
}

/** What was decided, and what could have been. */
export interface Detected {
  plan: ProgramPlan;
  isGuess: boolean;
  /** Other programs that the folder seems to have. */
  others: readonly ProgramPlan[];
}

/**
 * Finds out what program a folder holds: as told, else by its Procfile, by package.json, by Python modules, by files
 * for Node.js and by executables of usual names, in this order. Nothing of it is run.
 * @throws CliError `ENTRYPOINT_UNKNOWN`, `ENTRYPOINT_MALFORMED`, `COMMAND_MALFORMED`, `EXECUTABLE_UNFIT`,
 *   `PACKAGE_UNREADABLE`
 */
export async function detectProgram(folder: Pick<SourceFolder, 'files'>, path: string, told: Told): Promise<Detected> {
  const sources = new Sources(folder);
  const { command, entrypoint, file } = told;
  const asTold = (plan: ProgramPlan) => ({ plan, isGuess: false, others: [] });
  if (command !== undefined) return asTold(await planCommand(command, sources, 'as told'));
  if (entrypoint !== undefined) return asTold(await planEntrypoint(entrypoint, sources));
  if (file !== undefined)
    return { ...asTold(await planFile(file, sources, `"${file}" is the file that was named`)), isGuess: true };
  const manifest = await readPackage(sources);
  const found = await findAll(sources, manifest);
  const [plan, ...others] = found;
  if (plan === undefined) throw unknown(sources, { path, manifest });
  const isOther = (other: ProgramPlan) => other.kind !== plan.kind;
  const differing = others.filter(
    (other, index) => isOther(other) && others.findIndex((one) => one.kind === other.kind) === index,
  );
  return { plan, isGuess: true, others: differing };
}

/** Every program that the folder seems to have, the likeliest first. */
async function findAll(sources: Sources, manifest: PackageJson | undefined): Promise<ProgramPlan[]> {
  const web = /^web:[ \t]*(.+)$/m.exec(await sources.text('Procfile'))?.[1];
  const found = [
    web === undefined ? undefined : await planCommand(web, sources, `Procfile has "web: ${web.trim()}"`),
    manifest && findByPackage(manifest, sources),
    await findPython(sources),
    manifest && (await findByStart(manifest, sources)),
    findByName(sources),
    await findExecutable(sources),
  ];
  return found.filter((plan) => plan !== undefined);
}

/** What package.json starts by a command of its own, such as `next start`. */
async function findByStart({ scripts }: PackageJson, sources: Sources): Promise<ProgramPlan | undefined> {
  const { start } = scripts;
  if (start === undefined) return undefined;
  const plan = await planCommand(start, sources, `package.json starts it with "${start}"`);
  return plan.language === undefined ? asNode(plan) : plan;
}

/** A script of package.json may call what its packages bring, whatever that is called. */
function asNode(plan: ProgramPlan): ProgramPlan {
  const isLooked = plan.entrypoint === '/usr/bin/env';
  const words = plan.args.map((word) => (/^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  const script = `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; exec ${words.join(' ')}`;
  const shell = isLooked ? { entrypoint: '/bin/sh', args: ['-c', script] } : {};
  const runtimeReason = 'a script of package.json';
  return { ...plan, ...shell, language: 'node', runtime: 'debian-11-node', runtimeReason };
}

function unknown(sources: Sources, { path, manifest }: { path: string; manifest: PackageJson | undefined }): CliError {
  const missing = manifest && missingModule(manifest, sources);
  const looked = pythonModules(sources).slice(0, 8);
  const python = looked.length === 0 ? 'no program of a usual name in it' : `no application in ${looked.join(', ')}`;
  const expected = `${PYTHON_EXPECTED}; or ${NODE_EXPECTED}; or ${EXECUTABLE_EXPECTED}; or a Procfile`;
  return new CliError('ENTRYPOINT_UNKNOWN', { operands: { path, found: missing ?? python, expected } });
}
