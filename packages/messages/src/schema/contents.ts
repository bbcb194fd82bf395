/** The six kinds of content, by message type. */
import type * as z from 'zod';
import { aggregateContentSchema, forgetContentSchema, postContentSchema, storeContentSchema } from './data.ts';
import { instanceContentSchema } from './instance.ts';
import { programContentSchema } from './program.ts';

/** The schema of each message type's content. */
export const contentSchemas = {
  POST: postContentSchema,
  AGGREGATE: aggregateContentSchema,
  STORE: storeContentSchema,
  PROGRAM: programContentSchema,
  INSTANCE: instanceContentSchema,
  FORGET: forgetContentSchema,
} as const;

/** The kinds of message. */
export type MessageType = keyof typeof contentSchemas;

/** The content of a message of type `T` once read: defaults filled in, nulls of optional members gone. */
export type ContentOf<T extends MessageType> = z.output<(typeof contentSchemas)[T]>;

/** The content of a message of type `T` as a writer gives it: members with a default may be left out. */
export type ContentInput<T extends MessageType> = z.input<(typeof contentSchemas)[T]>;
