/** The content types by name, as `parseContent` returns them. */
import type * as z from 'zod';
import type { ContentOf } from './contents.ts';
import type { resourcesSchema, volumeSchema } from './machine.ts';

/** A POST: free data with a type. */
export type PostContent = ContentOf<'POST'>;
/** An AGGREGATE: members merged into one key of an address. */
export type AggregateContent = ContentOf<'AGGREGATE'>;
/** A STORE: a file kept under a message. */
export type StoreContent = ContentOf<'STORE'>;
/** A PROGRAM: code run on demand. */
export type ProgramContent = ContentOf<'PROGRAM'>;
/** An INSTANCE: a machine of its own. */
export type InstanceContent = ContentOf<'INSTANCE'>;
/** A FORGET: messages to be removed. */
export type ForgetContent = ContentOf<'FORGET'>;
/** A drive of a machine. */
export type Volume = z.output<typeof volumeSchema>;
/** CPUs, MiB of memory and seconds a machine may use. */
export type Resources = z.output<typeof resourcesSchema>;
