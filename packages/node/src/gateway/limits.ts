/** How much of the node one client may take before a program has had any say. */
export interface GatewayLimits {
  /** Bytes of a request's head. */
  readonly headBytes: number;
  /** Bytes of a request's target: path and query. */
  readonly targetBytes: number;
  /** Header lines of a request. */
  readonly headerLines: number;
  /** Time for a whole head, from its connection's or its own first byte. In milliseconds. */
  readonly headMs: number;
  /** Time in which a client must send or take another byte, where it is its turn to. In milliseconds. */
  readonly stallMs: number;
  /** Time that a WebSocket may be silent on both sides. In milliseconds. */
  readonly webSocketIdleMs: number;
  /** Connections of one client's address; not counted behind a proxy that is trusted to do it. */
  readonly connectionsPerClient: number;
  /** Connections of all clients. */
  readonly connections: number;
  /** Requests that one connection may have sent ahead of their answers. */
  readonly pipelined: number;
}

export const defaultGatewayLimits: GatewayLimits = {
  headBytes: 64 * 1024,
  targetBytes: 16 * 1024,
  headerLines: 256,
  headMs: 30_000,
  stallMs: 60_000,
  webSocketIdleMs: 10 * 60_000,
  connectionsPerClient: 256,
  connections: 8192,
  pipelined: 16,
};
