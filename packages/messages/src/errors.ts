/** The error catalogue of this package: one entry per code, one wording for all. */

/** Who can put it right. */
type Fault = 'user' | 'program' | 'operator' | 'platform';

/** What an error code means to a server and to a person. */
export interface MessageErrorEntry {
  /** HTTP status of the answer to whoever sent the message. */
  readonly status: number;
  /** `Cannot <verb> <operand>: <state found>, expected <state wanted>` with operands in braces. */
  readonly template: string;
  /** What to do about it. */
  readonly hint: string;
  readonly fault: Fault;
  /** Whether the same bytes can succeed later. */
  readonly retryable: boolean;
  /** The number the reference network reports for it: 0 format, 1 signature. */
  readonly networkCode: 0 | 1;
}

const format = { status: 422, fault: 'user', retryable: false, networkCode: 0 } as const;
const signature = { status: 422, fault: 'user', retryable: false, networkCode: 1 } as const;
const caller = { status: 500, fault: 'program', retryable: false, networkCode: 0 } as const;

/** Every error this package throws or reports, by code. */
export const MESSAGE_ERRORS = {
  JSON_MALFORMED: {
    ...format,
    template: 'Cannot read {operand}: found {found}, expected the text of one JSON object',
    hint: 'Check the text with a JSON parser',
  },
  JSON_TOO_DEEP: {
    ...format,
    template: 'Cannot read {operand}: nested {found} levels deep, expected at most {expected}',
    hint: 'Flatten the data or keep it in a file',
  },
  MEMBER_MISSING: {
    ...format,
    template: 'Cannot read {operand}: "{path}" is absent, expected {expected}',
    hint: 'Add the member',
  },
  MEMBER_UNKNOWN: {
    ...format,
    template: 'Cannot read {operand}: "{path}" is not a member of this format, expected only known members',
    hint: 'Remove the member or check its spelling',
  },
  MEMBER_MISMATCH: {
    ...format,
    template: 'Cannot read {operand}: "{path}" is {found}, expected {expected}',
    hint: 'Correct the value',
  },
  ITEM_CONTENT_TOO_LONG: {
    ...format,
    template: 'Cannot carry "item_content" inline: found {found} characters, expected at most {expected}',
    hint: 'Store the content as a file and send the message with item_type "storage"',
  },
  ITEM_HASH_MISMATCH: {
    ...format,
    template: 'Cannot accept message "{operand}": its item_content hashes to "{found}", expected "{operand}"',
    hint: 'Hash the UTF-8 bytes of item_content exactly as it is sent',
  },
  CHAIN_UNSUPPORTED: {
    ...signature,
    template: 'Cannot verify the signature of "{operand}": found chain "{found}", expected one of {expected}',
    hint: 'Sign with an Ethereum or a Solana account',
  },
  SIGNATURE_MALFORMED: {
    ...signature,
    template: 'Cannot verify the signature of "{operand}": found {found}, expected {expected}',
    hint: 'Send the signature in the form its chain uses',
  },
  SIGNATURE_MALLEABLE: {
    ...signature,
    template: 'Cannot verify the signature of "{operand}": found s in the upper half, expected s in the lower half',
    hint: 'Sign again with a library that makes canonical signatures',
  },
  SIGNATURE_WRONG: {
    ...signature,
    template: 'Cannot verify the signature of "{operand}": found a signature {found}, expected one by "{expected}"',
    hint: 'Sign chain, sender, type and item_hash exactly as they stand in the message',
  },
  KEY_MALFORMED: {
    ...caller,
    template: 'Cannot make a signer: found a key {found}, expected {expected}',
    hint: 'Make a key with generateKey()',
  },
  SIGNER_MISMATCH: {
    ...caller,
    template: 'Cannot sign message "{operand}": found sender "{found}", expected "{expected}"',
    hint: 'Sign with the account that is named as sender',
  },
} as const satisfies Record<string, MessageErrorEntry>;

/** A key of the catalogue. */
export type MessageErrorCode = keyof typeof MESSAGE_ERRORS;

/** The operands of a template. `path` is a JSON path such as `$.volumes[0].ref`. */
export interface MessageErrorOperands {
  readonly operand?: string;
  readonly path?: string;
  readonly found?: string;
  readonly expected?: string;
}

/** Writes the text of an error: the catalogue's template with its operands filled in. */
export function messageErrorText(code: MessageErrorCode, operands: MessageErrorOperands): string {
  const values = new Map(Object.entries(operands));
  return MESSAGE_ERRORS[code].template.replace(/\{(\w+)\}/g, (_, name: string) => String(values.get(name) ?? '?'));
}

/** A message, key or content this package refuses. Trying again with the same input never helps. */
export class MessageError extends Error {
  readonly code: MessageErrorCode;
  readonly entry: MessageErrorEntry;
  /** JSON path of the member at fault, where there is one. */
  readonly path: string | undefined;
  readonly found: string | undefined;
  readonly expected: string | undefined;

  constructor(code: MessageErrorCode, operands: MessageErrorOperands, options?: { cause?: unknown }) {
    super(messageErrorText(code, operands), options);
    this.name = 'MessageError';
    this.code = code;
    this.entry = MESSAGE_ERRORS[code];
    this.path = operands.path;
    this.found = operands.found;
    this.expected = operands.expected;
  }
}
