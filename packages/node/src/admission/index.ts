/** Who may use this node. */
export { type Admission, type Allowed, createAdmission, type RunRequest } from './admission.ts';
