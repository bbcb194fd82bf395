/** What a message would cost. */
export { instanceSchema, type Priceable, priceableSchemaOf } from './content.ts';
export { addCosts } from './decimal.ts';
export { type Estimate, estimate, GpuUnpriced } from './estimate.ts';
export { type PriceTable, pricesFrom } from './price-table.ts';
