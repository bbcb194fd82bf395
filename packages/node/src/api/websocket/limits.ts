/** What WebSockets of the API may hold. */
export interface WebSocketLimits {
  /** Connections that are told of messages, and likewise of the node's status. */
  readonly subscribers: number;
  /** What a client may leave untaken before it is cut off, when the next messages come. */
  readonly untakenBytes: number;
  /** Messages that come within this time of the last ones are written together. */
  readonly coalesceMs: number;
  /** Messages are written no later than when they have come to this. */
  readonly batchBytes: number;
  /** A connection that is silent for this long is asked whether it is there; one that says nothing is cut. */
  readonly silenceMs: number;
  /** The status is told no more often than this. */
  readonly statusMs: number;
}

/** Enough for a thousand subscribers of each kind. */
export const defaultWebSocketLimits: WebSocketLimits = {
  subscribers: 4096,
  untakenBytes: 1024 * 1024,
  coalesceMs: 50,
  batchBytes: 1024 * 1024,
  silenceMs: 30_000,
  statusMs: 2000,
};
