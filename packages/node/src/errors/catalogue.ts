import { computeErrors } from './compute.ts';
import { deploymentErrors } from './deployments.ts';
import { guestApiErrors } from './guest-api.ts';
import { networkErrors } from './network.ts';
import { operateErrors } from './operate.ts';
import { triggerErrors } from './triggers.ts';

/** Every error the node can answer with. A code is public and is never reused for another meaning. */
export const catalogue = {
  ...computeErrors,
  ...deploymentErrors,
  ...guestApiErrors,
  ...networkErrors,
  ...operateErrors,
  ...triggerErrors,
};

export type ErrorCode = keyof typeof catalogue;
