import { computeErrors } from './compute.ts';
import { networkErrors } from './network.ts';

/** Every error the node can answer with. A code is public and is never reused for another meaning. */
export const catalogue = { ...computeErrors, ...networkErrors };

export type ErrorCode = keyof typeof catalogue;
