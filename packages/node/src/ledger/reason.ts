/** Why a message is pending or rejected: the network's number, and each fault in words. */
export interface Reason {
  readonly code: number;
  readonly errors: readonly string[];
}
