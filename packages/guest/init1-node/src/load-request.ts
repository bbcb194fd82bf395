/** The `load` frame, taken apart. */
import { Failure } from './failures.ts';
import type { Frame } from './frames.ts';

/** How a program is served. */
export type Interface = 'fetch' | 'handler' | 'listen';

export interface LoadRequest {
  entrypoint: string;
  /** `null` when the host leaves it to the launcher to find out. */
  interface: Interface | null;
  variables: Map<string, string>;
  port: number;
}

/** @throws Failure LOAD_MALFORMED for a frame that nobody who knows the protocol sends */
export function readLoad(frame: Frame): LoadRequest {
  const { entrypoint, interface: wanted, port } = frame;
  if (typeof entrypoint !== 'string' || !isInterfaceOrNull(wanted) || typeof port !== 'number') {
    const found = `found ${Object.keys(frame).sort().join(', ')}`;
    const expected = 'expected entrypoint, interface ("fetch", "handler", "listen" or null), variables and port';
    throw new Failure('LOAD_MALFORMED', `Cannot read load frame: ${found}, ${expected}`);
  }
  return { entrypoint, interface: wanted, variables: readVariables(frame.variables), port };
}

function isInterfaceOrNull(value: unknown): value is Interface | null {
  return value === null || value === 'fetch' || value === 'handler' || value === 'listen';
}

/**
 * What no environment can hold is refused: Node would cut it off at the NUL without a word.
 * @throws Failure LOAD_MALFORMED
 */
export function readVariables(value: unknown): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Failure('LOAD_MALFORMED', 'Cannot read load frame: no variables, expected an object of texts');
  }
  const entries: Array<[string, unknown]> = Object.entries(value);
  const variables = new Map<string, string>();
  for (const [name, text] of entries) {
    if (!/^[^=\0]+$/.test(name) || typeof text !== 'string' || text.includes('\0')) {
      const expected = 'expected a name without "=" and a text without NUL';
      throw new Failure('LOAD_MALFORMED', `Cannot set variable "${name}": found ${typeof text}, ${expected}`);
    }
    variables.set(name, text);
  }
  return variables;
}
