/** What a message would cost. */
export { instanceSchema, isPriceable, type Priceable, type PriceableType, priceableSchemas } from './content.ts';
export { addCosts } from './decimal.ts';
export { type Estimate, estimate, GpuUnpriced } from './estimate.ts';
export { type PriceTable, pricesFrom } from './price-table.ts';
