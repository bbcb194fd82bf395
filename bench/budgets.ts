import type { Row } from './stats.ts';

/** What the project promises of a row's median, on two cores without KVM. In the row's own unit. */
const BUDGETS: Record<string, number> = {
  'full-boot-python': 5000,
  'full-boot-fastapi': 6500,
  'full-boot-node': 7500,
  'full-boot-executable': 3500,
  'deploy-node-20mb': 5000,
  'node-rss-mb': 150,
};
/** What the gateway may add to a hot request, in milliseconds. */
const GATEWAY_ADDS_MS = 0.5;

/** The rows that are over what was promised of them, in words. A bench measures and does not judge; `--check` does. */
export function overBudget(rows: readonly Row[]): string[] {
  const faults = rows.flatMap(({ name, p50, unit }) => {
    const budget = BUDGETS[name];
    return budget !== undefined && p50 > budget ? [`${name}: ${p50} ${unit}, expected at most ${budget}`] : [];
  });
  const median = (name: string) => rows.find((row) => row.name === name)?.p50;
  const addsMs = (median('hot-gateway') ?? 0) - (median('hot-direct') ?? 0);
  if (addsMs > GATEWAY_ADDS_MS) {
    faults.push(`hot-gateway: adds ${addsMs.toFixed(3)} ms to hot-direct, expected at most ${GATEWAY_ADDS_MS}`);
  }
  return faults;
}
