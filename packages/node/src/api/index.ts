/** The routes of the network API. */
export { type Api, createApi } from './api.ts';
export type { ApiComponents } from './components.ts';
export { type ApiLimits, defaultLimits } from './limits.ts';
