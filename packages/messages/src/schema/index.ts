/** Names, chains and schemas. Content types by name are in `./content.ts`. */
export type { Chain } from './chains.ts';
export { type ContentOf, contentSchemas, type MessageType } from './contents.ts';
export { envelopeSchema } from './envelope.ts';
export { type Address, addressSchema, fileHashSchema, itemHashSchema, sameAddress } from './hashes.ts';
