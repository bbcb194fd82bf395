/** What comes from another world and cannot become a runtime; the message says what was found and what to do. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
}

/** An `ImportError` in the house's words. */
export function refused(operand: string, found: string, expected: string): ImportError {
  return new ImportError(`Cannot import ${operand}: ${found}, expected ${expected}`);
}

/** A name out of an archive, whose bytes may be anything, as text for a message: in quotes, short, without controls. */
export function quoted(name: string): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  const clean = text.replace(/\p{C}/gu, '\u{fffd}');
  return `"${clean.length > SHOWN_CHARS ? `${clean.slice(0, SHOWN_CHARS)}...` : clean}"`;
}

/** Of a name in a message. */
const SHOWN_CHARS = 200;
