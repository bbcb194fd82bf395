/**
 * Every step at which a test may kill a build, in their order. Tests in tests/faults kill one at each, and see that
 * nothing half-made is left.
 */
export const BUILD_FAILPOINTS = [
  { name: 'build.begun', what: 'the box is there, and nothing in it' },
  { name: 'build.chosen', what: 'packages are chosen, and the lock file says so' },
  { name: 'build.fetched', what: 'they are in the cache' },
  { name: 'build.ran', what: 'a step has changed the tree, and what came of it is not kept' },
  { name: 'build.kept', what: 'it is kept' },
  { name: 'build.normalised', what: 'the tree is ready' },
  { name: 'build.made', what: 'the image is made, in the box' },
  { name: 'build.taken', what: 'it is beside the box, under a temporary name' },
  { name: 'build.placed', what: 'it has its name, and nothing says what it is' },
  { name: 'build.listed', what: 'so has the list of what is in it, and there is no record of both' },
] as const;

/** The name of a step of {@link BUILD_FAILPOINTS}. */
export type BuildFailpoint = (typeof BUILD_FAILPOINTS)[number]['name'];

/** As with a node's, what the environment asked for when this process started. */
const armed = process.env.VMLET_FAILPOINT ?? '';

/** A step of a build that a test may stop at: `VMLET_FAILPOINT=NAME=exit9` is kill -9 of this process by itself. */
export async function failpoint(name: BuildFailpoint): Promise<void> {
  if (armed === `${name}=exit9`) process.kill(process.pid, 'SIGKILL');
}
