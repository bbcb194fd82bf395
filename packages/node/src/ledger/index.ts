/** The log of signed messages and its index. */
export { NetworkCode } from './codes.ts';
export { MAX_CONTENT_BYTES } from './facts.ts';
export type {
  Acceptance,
  AnyProcessedMessage,
  Ledger,
  LedgerEvent,
  ProgramRecord,
  StoreRecord,
} from './log.ts';
export { openLedger } from './sqlite/ledger.ts';
export type { StatusEnvelope } from './status-envelope.ts';
