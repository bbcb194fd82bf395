/** Fields of one paragraph, by their names in lowercase: the first line's value and the lines that continue it. */
export type Paragraph = ReadonlyMap<string, string>;

/** Of a text with more, the rest is not read: it is no list of packages. */
const MAX_PARAGRAPHS = 100_000;

/**
 * Reads text in the form of Debian's control files (deb822): dpkg's status, and machine-readable copyright files.
 * Never fails: a line that is none of a field is left out. Continuation lines keep their breaks and lose one blank.
 */
export function parseControl(text: string): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  let fields = new Map<string, string>();
  let last: string | undefined;
  const close = () => {
    if (fields.size > 0) paragraphs.push(fields);
    fields = new Map();
    last = undefined;
  };
  for (const line of text.split(/\r?\n/)) {
    if (paragraphs.length >= MAX_PARAGRAPHS) return paragraphs;
    if (line.trim() === '') close();
    else if (/^[ \t]/.test(line)) {
      if (last !== undefined) fields.set(last, `${fields.get(last)}\n${line.slice(1)}`);
    } else {
      const colon = line.indexOf(':');
      last = colon > 0 ? line.slice(0, colon).toLowerCase() : undefined;
      if (last !== undefined) fields.set(last, line.slice(colon + 1).trim());
    }
  }
  close();
  return paragraphs;
}
