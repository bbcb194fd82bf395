/** Messages that programs listen to, brought to them at least once. */
export { MESSAGE_EVENT } from './cloud-event.ts';
export type { TriggerTarget } from './deliver.ts';
export type { RetryConfig } from './deliveries.ts';
export { type TriggerInfo, Triggers, type TriggersComponents } from './triggers.ts';
