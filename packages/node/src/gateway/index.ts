/** Public HTTP of programs. */
export { Gateway, type GatewayComponents, type GatewayConfig, type ProgramTarget } from './server.ts';
