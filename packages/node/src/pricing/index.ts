/** What a message would cost. */
export { instanceSchema, isPriceable, type Priceable, priceableSchemas } from './content.ts';
export { formatCost, parseDecimal } from './decimal.ts';
export { type CostLine, type Estimate, type EstimateContext, estimate, GpuUnpriced } from './estimate.ts';
export { pricesFrom } from './price-table.ts';
