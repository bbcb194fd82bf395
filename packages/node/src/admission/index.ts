/** Who may use this node, and how much of it. */
export { type Admission, type Allowed, createAdmission } from './admission.ts';
export { BlockList } from './block-list.ts';
export { capsFor, defaultOwnerCaps, type OwnerCaps, ownerKey } from './caps.ts';
export { MessageMeter } from './message-meter.ts';
export { OwnerUsage } from './usage.ts';
