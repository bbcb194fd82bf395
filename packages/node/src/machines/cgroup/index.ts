/** Limits of a machine by cgroup: v1 and v2 behind one interface. */
export type { CgroupLimits, CgroupTree, MachineCgroup } from './cgroup.ts';
export { type CgroupsFound, openCgroups } from './open.ts';
