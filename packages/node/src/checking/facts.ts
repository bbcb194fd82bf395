import type { Survey, SurveyRecord } from './records.ts';

/** Text that goes into a manifest: bounds of `packages/builder/src/manifest.ts`. */
const OS_CHARS = 128;
const VERSION_CHARS = 64;
const MAX_OTHERS = 16;

/** One of several versions of an interpreter. */
export interface FoundInterpreter {
  path: string;
  version: string;
}

/** What a manifest says of an image, as its own guest has found it. */
export interface ImageFacts {
  /** `PRETTY_NAME` of os-release, or ''. */
  os: string;
  /** `ID` and `VERSION_ID` of os-release, or ''. */
  osId: string;
  osVersion: string;
  interpreters: Record<string, FoundInterpreter & { others?: FoundInterpreter[] }>;
  packages: { manager: string; name: string; version: string; architecture: string; bytes: number }[];
  libc: { name: string; version: string };
}

/** What a survey comes to. Interpreters that do not run are left out. */
export function factsOfSurvey(survey: Survey): ImageFacts {
  const release = readOsRelease(survey.one('osRelease')?.text ?? '');
  const { name, version } = survey.one('libc') ?? { name: 'none', version: '' };
  return {
    os: oneLine(release.get('PRETTY_NAME') ?? release.get('NAME') ?? '').slice(0, OS_CHARS),
    osId: oneLine(release.get('ID') ?? '').slice(0, VERSION_CHARS),
    osVersion: oneLine(release.get('VERSION_ID') ?? '').slice(0, VERSION_CHARS),
    interpreters: interpretersOf(survey),
    packages: survey.all('package').map(({ kind: _kind, ...rest }) => rest),
    libc: { name, version },
  };
}

function interpretersOf(survey: Survey): ImageFacts['interpreters'] {
  const found: ImageFacts['interpreters'] = Object.create(null);
  for (const record of survey.all('interpreter')) {
    const version = versionOf(record);
    if (version === undefined || !record.path.startsWith('/')) continue;
    const { path, name } = record;
    const first = found[name];
    if (first === undefined) found[name] = { path, version };
    else if ((first.others?.length ?? 0) < MAX_OTHERS) first.others = [...(first.others ?? []), { path, version }];
  }
  return { ...found };
}

/** The version that an interpreter told; undefined if it did not run. */
export function versionOf({ output, status }: Extract<SurveyRecord, { kind: 'interpreter' }>): string | undefined {
  if (status !== 0) return undefined;
  return /\d+\.\d+[\w.+~-]*/.exec(output.slice(0, 1024))?.[0].slice(0, VERSION_CHARS) ?? '';
}

/**
 * The variables of an os-release file, as shells and systemd read them: `NAME=value`, quoted or not, comments with #.
 * What is no such line is left out.
 */
export function readOsRelease(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*([A-Z][A-Z0-9_]*)=(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const quoted = /^(["'])(.*)\1$/.exec(value);
    found.set(name, quoted ? (quoted[2] ?? '').replace(/\\(["'\\$`])/g, '$1') : value);
  }
  return found;
}

/** Without what would move the cursor of whoever looks at it. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ').trim();
}
