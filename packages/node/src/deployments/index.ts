/** What owners have decided of their programs beside the messages: names and their versions, and what is stopped. */
export type { NamedVersion, NameRecord } from './name-tables.ts';
export { Names } from './names.ts';
export { Stops } from './stops.ts';
