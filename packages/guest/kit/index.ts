/** The boot kit: kernel, initramfs with init0, and the guest kit with the launchers. */
export { type BootKit, type BootKitOptions, ensureBootKit } from './boot-kit.ts';
export { writeInitFiles } from './init-files.ts';
