/** Servers that are started by other means than vmlet, to compare with. */
export { type Contenders, prepareContenders } from './contenders.ts';
