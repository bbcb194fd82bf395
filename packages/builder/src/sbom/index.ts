/** What is in an image: read in the box, told in the manifest, and listed as SPDX. */
export { describeTree } from './describe.ts';
export { describeRuntime, findSbom, writeSbom } from './describe-runtime.ts';
export { factsOf, kernelNeeds } from './facts.ts';
export { type SpdxDocument, spdxDocument, spdxText } from './spdx.ts';
