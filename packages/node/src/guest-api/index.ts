/** What a program may call from inside its machine. */
export { ProgramCache } from './cache.ts';
export { GuestApi, type NetworkApi } from './guest-api.ts';
export { Identities, type OwnedProgram } from './identities.ts';
