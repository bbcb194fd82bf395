/**
 * QEMU's own filter of system calls, with every deny that it has: no old calls, no other user, no process started, no
 * priority or affinity changed. It is set once its devices are made, on top of the cage's.
 */
export const QEMU_SANDBOX = [
  '-sandbox',
  'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
] as const;
