/** Reads JSON texts written by strangers. */
import { MessageError } from './errors.ts';

/** Deeper data would overflow the stack of whoever walks it, so it is refused at the door. */
const MAX_DEPTH = 512;

/** Reads a text that must hold one JSON object. Throws MessageError JSON_MALFORMED or JSON_TOO_DEEP. */
export function parseJsonObject(text: string, { operand }: { operand: string }): Record<string, unknown> {
  const depth = depthOf(text);
  if (depth > MAX_DEPTH) {
    throw new MessageError('JSON_TOO_DEEP', { operand, found: String(depth), expected: String(MAX_DEPTH) });
  }
  const value = parseJson(text, operand);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'an array' : value === null ? 'null' : `a ${typeof value}`;
    throw new MessageError('JSON_MALFORMED', { operand, found });
  }
  return value as Record<string, unknown>;
}

function parseJson(text: string, operand: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MessageError('JSON_MALFORMED', { operand, found: 'text that is not JSON' }, { cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The deepest nesting of brackets outside strings; a scan, so hostile depth costs no stack. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) inString = false;
    } else if (char === QUOTE) inString = true;
    else if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x7d || char === 0x5d) depth--;
  }
  return deepest;
}
