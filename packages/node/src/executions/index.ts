/** A program's life: cold start, requests in line, idle stop. */

export type { Lease } from './execution.ts';
export { Executions } from './executions.ts';
export { type Installed, installPackages } from './installer.ts';
export { connectTo } from './launcher.ts';
export { type LogEntry, type ProgramLog, ProgramLogs } from './logs.ts';
export type { ExecutionsConfig, Runnable } from './runnable.ts';
