/** What the public lists that are not of messages are read from. */
export { type Facets, openFacets } from './facets.ts';
export { LedgerViews, type Measurement } from './views.ts';
