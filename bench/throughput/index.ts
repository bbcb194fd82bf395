/** How many requests a second proxies pass on, and what one of them costs. */
export { prepareThroughput, type Throughput } from './throughput.ts';
