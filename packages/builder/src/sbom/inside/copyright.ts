import { parseControl } from './control.ts';
import { allOf, type Refer, spdxExpression } from './licences.ts';

/**
 * The licences that a machine-readable copyright file (DEP-5) declares, all joined by AND.
 * @returns undefined for a file in no such form, or one that names no licence
 */
export function readCopyright(text: string, refer: Refer): string | undefined {
  const [header, ...paragraphs] = parseControl(text);
  const format = header?.get('format') ?? header?.get('format-specification') ?? '';
  if (header === undefined || !/copyright-format|dep-?5/i.test(format)) return undefined;
  const texts = new Map<string, string>();
  for (const fields of [header, ...paragraphs]) {
    const { name, text: own } = split(fields.get('license'));
    if (name !== '' && own !== '' && !texts.has(name.toLowerCase())) texts.set(name.toLowerCase(), own);
  }
  const files = paragraphs.filter((fields) => fields.has('files'));
  // The header's own licence is that of the whole, and says nothing more where files have theirs.
  const named = (files.length > 0 ? files : [header]).map((fields) => split(fields.get('license')));
  const expressions = named.flatMap(({ name, text: own }) => {
    if (name === '') return own === '' ? [] : [refer({ name: 'unnamed', text: own })];
    return [spdxExpression(name, { refer, textOf: (wanted) => texts.get(wanted) })];
  });
  return expressions.length === 0 ? undefined : allOf(expressions);
}

/** A licence's name is its first line, its text what follows; a point alone on a line stands for an empty one. */
function split(field = ''): { name: string; text: string } {
  const [name = '', ...lines] = field.split('\n');
  const text = lines.map((line) => (line.trim() === '.' ? '' : line)).join('\n');
  return { name: name.trim(), text: text.trim() };
}
