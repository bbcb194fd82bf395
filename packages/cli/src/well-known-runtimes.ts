/** A runtime of the reference network that programs made by its clients name. */
export interface WellKnownRuntime {
  /** Of its STORE message there. */
  readonly itemHash: string;
  /** Of its equivalent among the official runtimes, in the filesystem that it has itself. */
  readonly name: string;
}

/** Those that its clients have for defaults or offer; a recipe of that name may come with a later vmlet. */
export const WELL_KNOWN_RUNTIMES: readonly WellKnownRuntime[] = [
  { itemHash: '63f07193e6ee9d207b7d1fcf8286f9aee34e6f12f101d2ec77c1229f92964696', name: 'debian-12-python-ext4' },
  { itemHash: '3c238dd3ffba73ab9b2cccb90a11e40e78aff396152de922a6d794a0a65a305e', name: 'debian-11-node-ext4' },
  { itemHash: 'bd79839bf96e595a06da5ac0b6ba51dea6f7e2591bb913deccded04d831d29f4', name: 'debian-11-python-node' },
  { itemHash: '887957042bb0e360da3485ed33175882ce72a70d79f1ba599400ff4802b7cee7', name: 'debian-11' },
  { itemHash: '6e30de68c6cedfa6b45240c2b51e52495ac6fb1bd4b36457b3d5ca307594d595', name: 'debian-12' },
  { itemHash: '77fef271aa6ff9825efa3186ca2e715d19e7108279b817201c69c34cedc74c27', name: 'ubuntu-22.04' },
];

/** The one that a hash means. */
export function wellKnownRuntime(itemHash: string): WellKnownRuntime | undefined {
  return WELL_KNOWN_RUNTIMES.find((one) => one.itemHash === itemHash);
}
