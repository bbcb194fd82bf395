import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonIfExists, writeFileAtomic } from '@vmlet/host';
import type { Command, Option } from 'commander';
import * as z from 'zod';
import { CliError } from './errors.ts';

/** A setting: which option it is the default of, and which variable of the environment comes before it. */
export interface Setting {
  readonly key: string;
  /** The command that has the option; undefined for an option of all commands. */
  readonly command: string | undefined;
  readonly option: string;
  readonly variable: string;
  readonly what: string;
}

/** All settings, in the order in which they are listed. */
export const SETTINGS: readonly Setting[] = [
  setting('node', undefined, 'node that commands talk to, as --node'),
  setting('runtime', 'deploy', 'runtime of what is deployed'),
  setting('memory', 'deploy', 'memory of its machine, in MiB'),
  setting('vcpus', 'deploy', 'processors of its machine'),
  setting('seconds', 'deploy', 'how long one request may take'),
  setting('channel', 'deploy', 'channel of the messages'),
  setting('listen', 'up', 'address that a node listens on'),
  setting('domain', 'up', 'programs get host names below it'),
  setting('idle', 'up', 'stop a machine nobody has asked for so long'),
  setting('upload-limit', 'up', 'largest file by who brings it, as signed=100MiB,trusted=4GiB'),
  setting('memory-budget', 'up', 'memory of all machines together, in MiB'),
];

/** What the file holds. Values are as one types them, so that options read them the same way wherever they come from. */
const fileSchema = z.strictObject({
  format: z.literal(1),
  settings: z.partialRecord(z.enum(SETTINGS.map(({ key }) => key)), z.string().max(1024)),
});

export type SettingValues = z.output<typeof fileSchema>['settings'];

/** Where the settings of a user are kept. @param config the folder of `VMLET_CONFIG` */
export function settingsPath(config: string): string {
  return join(config, 'config.json');
}

/**
 * The settings of the file; none where there is no file.
 * @throws CliError `CONFIG_UNREADABLE`
 */
export async function readSettings(config: string): Promise<SettingValues> {
  const path = settingsPath(config);
  let value: unknown;
  try {
    value = await readJsonIfExists(path);
  } catch (error) {
    throw unreadable(path, error instanceof SyntaxError ? 'it is no JSON' : messageOf(error), error);
  }
  if (value === undefined) return {};
  const parsed = fileSchema.safeParse(value);
  if (parsed.success) return parsed.data.settings;
  const issue = parsed.error.issues[0];
  throw unreadable(path, `"${issue?.path.join('.') ?? ''}": ${issue?.message ?? 'malformed'}`, parsed.error);
}

/** Writes the whole file, for its user only. */
export async function writeSettings(config: string, settings: SettingValues): Promise<void> {
  await mkdir(config, { recursive: true, mode: 0o700 });
  const text = `${JSON.stringify({ format: 1, settings }, null, 2)}\n`;
  await writeFileAtomic(settingsPath(config), text, { mode: 0o600 });
}

/** The setting of a key. @throws CliError `SETTING_UNKNOWN` */
export function findSetting(key: string): Setting {
  const found = SETTINGS.find((one) => one.key === key);
  if (found !== undefined) return found;
  throw new CliError('SETTING_UNKNOWN', { operands: { key, known: SETTINGS.map((one) => one.key).join(', ') } });
}

/**
 * Gives the options of a command that nobody gave the values of the environment or of the file, in this order.
 * @throws CliError `SETTING_MALFORMED` if one of them cannot be read as the option is
 */
export function applySettings(
  command: Command,
  { settings, env, config }: { settings: SettingValues; env: NodeJS.ProcessEnv; config: string },
): void {
  for (const one of SETTINGS) {
    if (one.command !== command.name() || command.parent?.parent) continue;
    const option = optionOf(command, one);
    if (option === undefined || command.getOptionValueSource(option.attributeName()) === 'cli') continue;
    const fromEnv = env[one.variable] || undefined;
    const text = fromEnv ?? settings[one.key];
    if (text === undefined) continue;
    const where = fromEnv === undefined ? settingsPath(config) : one.variable;
    const value = parseSetting(one, text, { option, where });
    command.setOptionValueWithSource(option.attributeName(), value, fromEnv === undefined ? 'config' : 'env');
  }
}

/**
 * Reads a value as its option does.
 * @param options.where where the value stands, for the error
 * @throws CliError `SETTING_MALFORMED`
 */
export function parseSetting(
  { key }: Setting,
  text: string,
  { option, where }: { option: Option | undefined; where: string },
): unknown {
  try {
    return option?.parseArg?.(text, undefined) ?? text;
  } catch (error) {
    throw new CliError('SETTING_MALFORMED', { operands: { key, where, found: messageOf(error) }, cause: error });
  }
}

/** The option of a setting, on its own command. */
export function optionOf(command: Command, { option }: Setting): Option | undefined {
  return command.options.find(({ long }) => long === option);
}

function setting(key: string, command: string | undefined, what: string): Setting {
  const variable = `VMLET_${key.toUpperCase().replaceAll('-', '_')}`;
  return { key, command, option: `--${key}`, variable, what };
}

function unreadable(path: string, found: string, cause: unknown): CliError {
  return new CliError('CONFIG_UNREADABLE', { operands: { path, found }, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
