/** A tree becomes a filesystem image. */
export { makeErofs } from './erofs.ts';
export { type MakeImageOptions, makeImage } from './make-image.ts';
