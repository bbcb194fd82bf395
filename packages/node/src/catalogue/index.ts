/** What is published under names: runtimes, and what the operator has stand in for those that are not here. */
export { RuntimeAliases } from './aliases.ts';
export { type PublishedRuntime, RuntimeCatalogue } from './runtimes.ts';
