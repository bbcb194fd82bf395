/** The log of signed messages and its index. */
export { NetworkCode } from './codes.ts';
export type { LedgerEvent } from './events.ts';
export { MAX_CONTENT_BYTES } from './facts.ts';
export type { Acceptance, Ledger } from './log.ts';
export type { AnyProcessedMessage, ProgramRecord, StoreRecord } from './records.ts';
export { openLedger } from './sqlite/ledger.ts';
export type { StatusEnvelope } from './status-envelope.ts';
