import { readFile } from 'node:fs/promises';
import { Argument, type Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { localNode } from '../client/locate.ts';
import { OwnerClient } from '../client/owner.ts';
import { shownName } from '../client/pick-program.ts';
import { type Candidate, complete, type ValueSources } from '../completion/complete.ts';
import type { Context } from '../context.ts';
import { officialRuntimes, programRuntimes } from '../publish/official.ts';
import { SETTINGS } from '../settings.ts';
import { cleanLine } from '../terminal-text.ts';

/** What shells take for one word without quotes; `NAME@VERSION` is two to bash. */
const PLAIN_WORD = /^[\w.-]+$/;
const SHELLS = ['bash', 'zsh', 'fish'];

/** The hidden command that shells ask. */
export const COMPLETE = '__complete';

/** `vmlet completion`. */
export function registerCompletion({ program, run }: Cli): void {
  const command = program
    .command('completion')
    .summary('print what makes a shell complete vmlet')
    .description(
      'Prints a script for a shell: commands, options, runtimes and settings are completed without a node, names of ' +
        'programs where one runs.',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS));
  addExamples(command, [
    ['source <(vmlet completion bash)', 'in ~/.bashrc'],
    ['source <(vmlet completion zsh)', 'in ~/.zshrc, after compinit'],
    ['vmlet completion fish > ~/.config/fish/completions/vmlet.fish', 'once'],
  ]);
  command.action(async (shell: string, _options: unknown, self: Command) => {
    await run(self, async ({ output }) => {
      const script = await readFile(new URL(`../../completion/vmlet.${shell}`, import.meta.url), 'utf8');
      if (output.isJson) output.json({ shell, script });
      else output.line(script.trimEnd());
      return undefined;
    });
  });
}

/** `vmlet __complete -- WORDS`: what shells ask while one types. Not for people. */
export function registerComplete({ program, run }: Cli): void {
  const command = program
    .command(COMPLETE, { hidden: true })
    .description('Answers the completion of shells.')
    .argument('[words...]', 'what was typed after vmlet; the last word is not finished');
  addExamples(command, [["vmlet __complete -- deploy --run ''", 'what bash asks']]);
  command.action(async (words: string[], _options: unknown, self: Command) => {
    await run(self, async (context) => {
      const { candidates, files } = await complete(program, words, sourcesOf(context));
      for (const { value, what } of candidates) context.output.line(`${cleanLine(value)}\t${cleanLine(what)}`);
      context.output.line(`:${files}`);
      return undefined;
    });
  });
}

function sourcesOf({ paths, signal }: Context): ValueSources {
  const ask = async (question: (owner: OwnerClient) => Promise<Candidate[]>): Promise<Candidate[]> => {
    const node = await localNode(paths.home);
    if (node?.ownerSocket === undefined) return [];
    // Whoever types wants no error in the middle of a line: without a node there is nothing to name.
    return await question(new OwnerClient(node.ownerSocket)).catch(() => []);
  };
  const names = () =>
    ask(async (owner) =>
      (await owner.programs(signal)).flatMap(({ names: all, state }) =>
        all.filter((one) => one.current).map((one) => ({ value: one.name, what: state })),
      ),
    );
  return {
    names,
    programs: () =>
      ask(async (owner) => {
        const programs = await owner.programs(signal);
        // Of several that are called the same, the one that the name leads to.
        const shown = new Map(programs.map((program) => [shownName(program), program.state]));
        for (const { names: all, state } of programs) {
          for (const { name, current } of all) if (current) shown.set(name, state);
        }
        const words = [...shown].filter(([value]) => PLAIN_WORD.test(value));
        return words.map(([value, what]) => ({ value, what }));
      }),
    runtimes: async () => (await officialRuntimes()).map(asRuntime),
    programRuntimes: async () => (await programRuntimes()).map(asRuntime),
    settings: () => SETTINGS.map(({ key, what }) => ({ value: key, what })),
  };
}

function asRuntime(value: string): Candidate {
  return { value, what: 'official runtime' };
}
