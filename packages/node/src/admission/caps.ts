/** What one owner may take of a node at the same time, or in an hour. `Infinity` is no bound. */
export interface OwnerCaps {
  /** Machines at once. */
  readonly machines: number;
  /** Memory of its machines at once. */
  readonly memoryMiB: number;
  /** Files that its messages name, images made of its code, and logs of its programs. */
  readonly diskMiB: number;
  /** Processor time of its machines in an hour, in seconds. */
  readonly cpuSeconds: number;
  /** Programs in force. */
  readonly programs: number;
  /** Text of messages in an hour. */
  readonly messagesMiB: number;
}

/** For everybody but the operator, who has none. */
export const defaultOwnerCaps: OwnerCaps = {
  machines: 8,
  memoryMiB: 2048,
  diskMiB: 4096,
  cpuSeconds: 1800,
  programs: 50,
  messagesMiB: 64,
};

/** For the operator: what the node itself has bounds it. */
const noCaps: OwnerCaps = {
  machines: Number.POSITIVE_INFINITY,
  memoryMiB: Number.POSITIVE_INFINITY,
  diskMiB: Number.POSITIVE_INFINITY,
  cpuSeconds: Number.POSITIVE_INFINITY,
  programs: Number.POSITIVE_INFINITY,
  messagesMiB: Number.POSITIVE_INFINITY,
};

/** The form in which an owner is counted: an EVM address is the same in any case. */
export function ownerKey(address: string): string {
  return /^0x[0-9a-f]{40}$/i.test(address) ? address.toLowerCase() : address;
}

/** What an owner may take: the operator whatever the node has, everybody else the same. */
export function capsFor(operator: string, given: Partial<OwnerCaps> = {}): (address: string) => OwnerCaps {
  const caps = { ...defaultOwnerCaps, ...given };
  return (address) => (ownerKey(address) === ownerKey(operator) ? noCaps : caps);
}
