import { addressSchema } from '@vmlet/messages/schema';
import * as z from 'zod';

/** An address in a path. */
export const addressParam = z.string().pipe(addressSchema);
