/** Public HTTP of programs. */
export type { GatewayLimits } from './limits.ts';
export { Gateway, type GatewayComponents, type GatewayConfig, type ProgramTarget } from './server.ts';
