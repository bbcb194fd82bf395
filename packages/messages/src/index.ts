/**
 * The wire format of signed messages: reading, hashing, verifying, building. Pure, no I/O.
 * Schemas and chain names are in `./schema`, content types in `./content`, signers in `./sign`, the error
 * catalogue in `./errors`, sorted-key JSON in `./canonical`.
 */
export { readApiMessage } from './api-form.ts';
export { buildMessage } from './build.ts';
export { MessageError } from './errors.ts';
export { itemHashOf } from './item-hash.ts';
export { parseContent, parseEnvelope } from './parse.ts';
export type { Envelope } from './schema/envelope.ts';
export type { FileHash, ItemHash } from './schema/hashes.ts';
export { verifySignature } from './verify.ts';
