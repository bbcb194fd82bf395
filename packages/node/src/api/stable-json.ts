/** A number as it was written: parsing it could change it. */
class NumberText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Writes a JSON text again in the network's stored form: compact, members sorted by code point. Numbers keep the form
 * they came in, so that none beyond 2^53 is changed.
 *
 * @throws SyntaxError if `text` is not JSON
 */
export function stableJson(text: string): string {
  return write(JSON.parse(text, keepNumber) as unknown);
}

function keepNumber(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? new NumberText(context.source) : value;
}

function write(value: unknown): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${write(member)}`).join(',')}}`;
}
