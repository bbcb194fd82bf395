/** One line of the confinement: whether it stands here, and if not, why not. */
export interface Finding {
  stands: boolean;
  /** What was found, in words. */
  text: string;
}

/** What confines machines on this host, found by starting something in a cage. */
export interface CageFindings {
  /** QEMU's own system call filter, with every deny. */
  sandbox: Finding;
  /** Namespaces of its own, nothing of the host's files, and the stricter system call filter. */
  namespaces: Finding;
  /** A user id of its own for each machine. */
  users: Finding;
  /** Memory, processors and processes limited by cgroup. */
  cgroups: Finding;
}

/** Names of what does not stand, in the order in which it matters. */
export function missing(findings: CageFindings): string[] {
  return Object.entries(findings)
    .filter(([, { stands }]: [string, Finding]) => !stands)
    .map(([name, { text }]: [string, Finding]) => `${name} (${text})`);
}
