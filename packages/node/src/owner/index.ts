/** The owner's commands, on a Unix socket. */
export type { NodeStatus, OwnerComponents, PublishedRuntime } from './components.ts';
export { serveOwner } from './server.ts';
