import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { checkUrl } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import {
  findSetting,
  optionOf,
  parseSetting,
  readSettings,
  SETTINGS,
  type Setting,
  type SettingValues,
  settingsPath,
  writeSettings,
} from '../settings.ts';
import { cleanLine, formatTable } from '../terminal-text.ts';

/** `vmlet config`, with `ls`, `get`, `set`, `unset` and `path`. */
export function registerConfig({ program, run }: Cli): void {
  const group = program
    .command('config')
    .summary('show and change the defaults of options')
    .description(
      'Keeps defaults of options in config.json, in the folder of the keys. A variable of the environment comes before ' +
        'the file (VMLET_RUNTIME before "runtime"), and an option on the command line before both.',
    );
  addExamples(group, [
    ['vmlet config ls', 'all settings, and where their values come from'],
    ['vmlet config set runtime my-debian', 'deploy on a runtime of your own, whatever the program is'],
  ]);
  const cli = { program: group, run };
  registerLs(cli);
  registerGet(cli);
  registerSet(cli, program);
  registerUnset(cli);
  registerPath(cli);
}

function registerLs({ program, run }: Cli): void {
  const command = program
    .command('ls')
    .alias('list')
    .summary('list settings, with where their values come from')
    .description('Lists every setting with its value, and whether it comes from the environment or from the file.');
  addExamples(command, [['vmlet config ls', 'a table']]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, async ({ output, paths, env }) => {
      const settings = await readSettings(paths.config);
      const rows = SETTINGS.map((one) => ({ key: one.key, ...settingValue(one, { settings, env }), what: one.what }));
      if (output.isJson) {
        output.json({ settings: rows });
        return undefined;
      }
      const cells = rows.map(({ key, value, source, what }) => [key, cleanLine(value ?? '-'), source ?? '-', what]);
      const [head = '', ...lines] = formatTable([['KEY', 'VALUE', 'FROM', 'WHAT'], ...cells]);
      for (const line of [output.colors.dim(head), ...lines]) output.line(line);
      return undefined;
    });
  });
}

function registerGet({ program, run }: Cli): void {
  const command = program
    .command('get')
    .summary('print one setting')
    .description('Prints the value of a setting. Ends with status 3 where it has none.')
    .argument('<key>', 'as `vmlet config ls` has it');
  addExamples(command, [['vmlet config get runtime', 'its value, and nothing else']]);
  command.action(async (key: string, _options: unknown, self: Command) => {
    await run(self, (context) => get(findSetting(key), context));
  });
}

async function get(setting: Setting, { output, paths, env }: Context): Promise<ExitCode> {
  const { value, source } = settingValue(setting, { settings: await readSettings(paths.config), env });
  if (output.isJson) output.json({ key: setting.key, value, source });
  else if (value !== null) output.line(value);
  return value === null ? EXIT_CODES.notFound : EXIT_CODES.ok;
}

function registerSet({ program, run }: Cli, root: Command): void {
  const command = program
    .command('set')
    .summary('change one setting')
    .description('Writes a setting to the file, if its option takes the value.')
    .argument('<key>', 'as `vmlet config ls` has it')
    .argument('<value>', 'as one types it after the option');
  addExamples(command, [
    ['vmlet config set runtime my-debian', 'deploy on a runtime of your own, whatever the program is'],
    ['vmlet config set node http://127.0.0.1:4021', 'talk to that node unless told otherwise'],
  ]);
  command.action(async (key: string, value: string, _options: unknown, self: Command) => {
    await run(self, async (context) => {
      const setting = findSetting(key);
      check(setting, value, root);
      const { output, paths } = context;
      await writeSettings(paths.config, { ...(await readSettings(paths.config)), [key]: value });
      if (output.isJson) output.json({ key, value });
      else output.note(`${key} is ${cleanLine(value)} unless ${setting.variable} or ${setting.option} says otherwise`);
      return undefined;
    });
  });
}

/** The option itself says whether it takes a value. */
function check(setting: Setting, value: string, root: Command): void {
  const owner = root.commands.find((one) => one.name() === setting.command) ?? root;
  const where = 'the command line';
  try {
    if (setting.key === 'node') checkUrl(value);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new CliError('SETTING_MALFORMED', { operands: { key: setting.key, where, found }, cause: error });
  }
  parseSetting(setting, value, { option: optionOf(owner, setting), where });
}

function registerUnset({ program, run }: Cli): void {
  const command = program
    .command('unset')
    .summary('take one setting out of the file')
    .description('Takes a setting out of the file, so that the default of the option counts again.')
    .argument('<key>', 'as `vmlet config ls` has it');
  addExamples(command, [['vmlet config unset runtime', 'back to the default']]);
  command.action(async (key: string, _options: unknown, self: Command) => {
    await run(self, async ({ output, paths }) => {
      findSetting(key);
      const { [key]: before, ...left } = await readSettings(paths.config);
      if (before !== undefined) await writeSettings(paths.config, left);
      if (output.isJson) output.json({ key, before: before ?? null });
      else output.note(before === undefined ? `${key} was not set` : `${key} was ${cleanLine(before)}`);
      return undefined;
    });
  });
}

function registerPath({ program, run }: Cli): void {
  const command = program
    .command('path')
    .summary('print where the settings are kept')
    .description('Prints the path of the file, which need not be there.');
  addExamples(command, [['"$EDITOR" "$(vmlet config path)"', 'edit it by hand']]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, async ({ output, paths }) => {
      const path = settingsPath(paths.config);
      if (output.isJson) output.json({ path });
      else output.line(path);
      return undefined;
    });
  });
}

function settingValue(
  { key, variable }: Setting,
  { settings, env }: { settings: SettingValues; env: NodeJS.ProcessEnv },
): { value: string | null; source: string | null } {
  const fromEnv = env[variable] || undefined;
  if (fromEnv !== undefined) return { value: fromEnv, source: variable };
  const value = settings[key];
  return value === undefined ? { value: null, source: null } : { value, source: 'file' };
}
