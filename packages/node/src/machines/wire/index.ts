/** How programs in machines call their host. */
export { CALL_DOORS, type CallHandler } from './calls.ts';
