import type { Argument, Command, Option } from 'commander';

/** What can stand in place of the word that is being typed. */
export interface Completions {
  readonly candidates: readonly Candidate[];
  /** What the shell adds of its own. */
  readonly files: 'none' | 'files' | 'folders';
}

/** A word, and what it is for. */
export interface Candidate {
  readonly value: string;
  readonly what: string;
}

/** Values that only a node or a cache knows, by what they are. */
export interface ValueSources {
  programs(): Promise<Candidate[]>;
  names(): Promise<Candidate[]>;
  runtimes(): Promise<Candidate[]>;
  /** Those of them that run programs. */
  programRuntimes(): Promise<Candidate[]>;
  settings(): Candidate[];
}

type Kind = keyof ValueSources | 'files' | 'folders' | 'recipes' | 'runnable';

/** What stands in a place, by the word between its brackets; the name of the command comes first where it matters. */
const KINDS: Readonly<Record<string, Kind>> = {
  program: 'programs',
  name: 'names',
  'deploy --name': 'names',
  runtime: 'runtimes',
  'name|hash': 'runtimes',
  'hash|name': 'runtimes',
  'name|hash|folder': 'recipes',
  recipe: 'recipes',
  key: 'settings',
  folder: 'folders',
  file: 'files',
  'file|folder': 'files',
  'image|recipe': 'recipes',
  'deploy path': 'folders',
  'deploy --runtime': 'runnable',
};

/**
 * Completes a command line.
 * @param words what follows `vmlet`; the last one is being typed and may be empty
 */
export async function complete(
  program: Command,
  words: readonly string[],
  sources: ValueSources,
): Promise<Completions> {
  const current = words.at(-1) ?? '';
  const place = walk(program, words.slice(0, -1));
  const [, flag, value] = /^(--[\w-]+)=(.*)$/.exec(current) ?? [];
  if (flag !== undefined && value !== undefined && !place.onlyArguments) {
    const option = optionsOf(place.command).find(({ long }) => long === flag);
    const found = await valuesOf(option, { command: place.command, sources });
    const candidates = found.candidates.map((one) => ({ ...one, value: `${flag}=${one.value}` }));
    return { ...found, candidates: begun(candidates, current) };
  }
  if (place.option !== undefined) {
    const found = await valuesOf(place.option, { command: place.command, sources });
    return { ...found, candidates: begun(found.candidates, current) };
  }
  if (current.startsWith('-') && !place.onlyArguments) {
    return { candidates: begun(optionsOf(place.command).map(optionCandidate), current), files: 'none' };
  }
  return await completeArgument(place, current, sources);
}

async function completeArgument(place: Place, current: string, sources: ValueSources): Promise<Completions> {
  const { command, position } = place;
  const subcommands = position === 0 && !place.onlyArguments ? visible(command) : [];
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[position] ?? (last?.variadic ? last : undefined);
  const found = await valuesOf(argument, { command, sources });
  return { ...found, candidates: begun([...subcommands, ...found.candidates], current) };
}

/** Where in the command line the word stands that is being typed. */
interface Place {
  command: Command;
  /** How many arguments of the command stand before it. */
  position: number;
  /** The option whose value it is. */
  option: Option | undefined;
  /** After `--`, nothing is an option. */
  onlyArguments: boolean;
}

function walk(program: Command, words: readonly string[]): Place {
  const place: Place = { command: program, position: 0, option: undefined, onlyArguments: false };
  for (const word of words) {
    if (place.option !== undefined) place.option = undefined;
    else if (word === '--' && !place.onlyArguments) place.onlyArguments = true;
    else if (word.startsWith('-') && !place.onlyArguments) {
      const option = optionsOf(place.command).find(({ long, short }) => long === word || short === word);
      if (option?.required || option?.optional) place.option = option;
    } else if (!enter(place, word)) place.position++;
  }
  return place;
}

function enter(place: Place, word: string): boolean {
  if (place.position > 0 || place.onlyArguments) return false;
  const next = place.command.commands.find((one) => one.name() === word || one.aliases().includes(word));
  if (next === undefined) return false;
  place.command = next;
  return true;
}

/** Of a command and of all above it. */
function optionsOf(command: Command): Option[] {
  const own = command.options.filter((option) => !option.hidden);
  return command.parent ? [...own, ...optionsOf(command.parent)] : own;
}

function optionCandidate({ long, short, description }: Option): Candidate {
  return { value: long ?? short ?? '', what: description };
}

function visible(command: Command): Candidate[] {
  const shown = command.createHelp().visibleCommands(command);
  return shown.map((one) => ({ value: one.name(), what: one.summary() || one.description() }));
}

async function valuesOf(
  of: Option | Argument | undefined,
  { command, sources }: { command: Command; sources: ValueSources },
): Promise<Completions> {
  if (of === undefined) return { candidates: [], files: 'none' };
  if (of.argChoices) return { candidates: of.argChoices.map((value) => ({ value, what: '' })), files: 'none' };
  const isOption = 'flags' in of;
  const word = isOption ? (/[<[]([^>\].]+)/.exec(of.flags)?.[1] ?? '') : of.name();
  const kind = KINDS[`${command.name()} ${isOption ? of.long : word}`] ?? KINDS[word];
  if (kind === undefined) return { candidates: [], files: 'none' };
  if (kind === 'files' || kind === 'folders') return { candidates: [], files: kind };
  if (kind === 'recipes') return { candidates: await sources.runtimes(), files: 'folders' };
  if (kind === 'runnable') return { candidates: await sources.programRuntimes(), files: 'folders' };
  return { candidates: await sources[kind](), files: 'none' };
}

function begun(candidates: readonly Candidate[], current: string): Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(current));
}
