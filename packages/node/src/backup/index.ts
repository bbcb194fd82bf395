/** Copies of a home: made while its node runs, checked whole before a home is made of one. */
export { type BackedUp, backUpHome } from './back-up.ts';
export { type Restored, restoreHome } from './restore.ts';
