/** What is in an image: read in the box, told in the manifest, and listed as SPDX. */
export { describeTree } from './describe.ts';
export type { DescribedImage } from './described-image.ts';
export { factsOf, kernelNeeds } from './facts.ts';
export { type SpdxDocument, spdxDocument, spdxText } from './spdx.ts';
export type { TreeSurvey } from './survey-schema.ts';
