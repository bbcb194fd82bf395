/** A command line, taken apart. */
export interface Command {
  /** Assignments before the command. */
  readonly variables: Readonly<Record<string, string>>;
  /** Undefined for one that only a shell understands. */
  readonly words: readonly string[] | undefined;
  /** Without the assignments. */
  readonly text: string;
}

const ASSIGNMENT = /^([A-Za-z_]\w*)=("[^"$`\\]*"|'[^']*'|[^\s"'$`\\|&;<>()]*)\s+(?=\S)/;
/** What a shell would act on, outside of quotes. */
const SHELL_ONLY = /[$`|&;<>()*?[\]{}~\n\\]/;

/** Splits a command line into words as a shell does, as far as no shell is needed for it. */
export function parseCommand(line: string): Command {
  const variables: Record<string, string> = {};
  let text = line.trim();
  for (let found = ASSIGNMENT.exec(text); found !== null; found = ASSIGNMENT.exec(text)) {
    const [whole, name = '', value = ''] = found;
    variables[name] = value.replace(/^(["'])([\s\S]*)\1$/, '$2');
    text = text.slice(whole.length);
  }
  return { variables, words: splitWords(text), text };
}

function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  const token = /[ \t]*((?:"[^"$`\\]*"|'[^']*'|[^\s"'])+)/y;
  let at = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const raw = found[1] ?? '';
    if (SHELL_ONLY.test(raw.replace(/"[^"$`\\]*"|'[^']*'/g, ''))) return undefined;
    words.push(raw.replace(/"([^"]*)"|'([^']*)'/g, (_, double?: string, single?: string) => double ?? single ?? ''));
    at = token.lastIndex;
  }
  return text.slice(at).trim() === '' ? words : undefined;
}
