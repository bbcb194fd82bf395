import type { PartResult } from './part.ts';

interface Budget {
  p50?: number;
  p95?: number;
  /** For rates: the median is to be no less. */
  least?: number;
}

/** What the project promises of a row, on two cores without KVM. In the row's own unit. */
const BUDGETS: Record<string, Budget> = {
  'full-boot-python': { p50: 5000 },
  'full-boot-fastapi': { p50: 6500 },
  'full-boot-node': { p50: 7500 },
  'full-boot-executable': { p50: 3500 },
  'deploy-node-20mb': { p50: 5000 },
  'node-rss-mb': { p50: 150 },
  'paused-python': { p50: 10, p95: 25 },
  'paused-node': { p50: 10, p95: 25 },
  'spare-python': { p50: 25, p95: 50 },
  'spare-node': { p50: 25, p95: 50 },
  'program-level-python': { p50: 150, p95: 230 },
  'program-level-node': { p50: 170 },
  'program-level-fastapi': { p50: 190 },
  'program-level-executable': { p50: 110 },
  'clone-pss-mb': { p50: 32 },
  'snapshot-disk-mb': { p50: 90 },
  'spare-burst-12': { least: 100 },
  'storm-100': { least: 5 },
  'file-upload-growth-mb': { p50: 60 },
  'file-download-growth-mb': { p50: 60 },
  'fan-out-p99': { p50: 250 },
  'accept-messages': { least: 2000 },
  'list-first-page': { p95: 20 },
  'list-deep-cursor': { p95: 20 },
  'list-selective': { p95: 20 },
  'list-combined': { p95: 20 },
  'list-page': { p95: 20 },
  'list-page-combined': { p95: 20 },
  'list-posts': { p95: 20 },
  'message-to-handler': { p50: 60 },
  'build-debian-12-python': { p50: 60 },
  'rebuild-unchanged': { p50: 2 },
  'image-erofs-mb': { p50: 90 },
  'image-squashfs-mb': { p50: 50 },
  'runtime-check': { p50: 20 },
  'oci-200mb': { p50: 30 },
};

/** The same for rows of one run, divided by each other. */
const RATIO_BUDGETS: Record<string, Budget> = {
  'program-level-python/runsc-python': { p50: 0.25 },
  'program-level-node/runsc-node': { p50: 0.5 },
  'program-level-fastapi/runsc-fastapi': { p50: 0.2 },
  'runtime-level-python/full-boot-python': { p50: 0.2 },
  'gateway-throughput/nginx-throughput': { least: 0.3 },
  'file-upload/file-tee-sha256sum': { least: 0.5 },
  'file-download/file-tee-sha256sum': { least: 0.5 },
};

/** What the gateway may add to a hot request, in milliseconds. */
const GATEWAY_ADDS_MS = 0.3;

/** What is over what was promised of it, in words. A bench measures and does not judge; `--check` does. */
export function overBudget({ rows, ratios }: Pick<PartResult, 'rows' | 'ratios'>): string[] {
  const faults = rows.flatMap(({ name, unit, p50, p95 }) =>
    faultsOf(name, BUDGETS[name], { unit: ` ${unit}`, p50, p95 }),
  );
  faults.push(
    ...Object.entries(ratios).flatMap(([name, p50]) => faultsOf(name, RATIO_BUDGETS[name], { unit: '', p50 })),
  );
  const median = (name: string) => rows.find((row) => row.name === name)?.p50;
  const addsMs = (median('hot-gateway') ?? 0) - (median('hot-direct') ?? 0);
  if (addsMs > GATEWAY_ADDS_MS) {
    faults.push(`hot-gateway: adds ${addsMs.toFixed(3)} ms to hot-direct, expected at most ${GATEWAY_ADDS_MS}`);
  }
  return faults;
}

function faultsOf(
  name: string,
  budget: Budget = {},
  { unit, p50, p95 = 0 }: { unit: string; p50: number; p95?: number },
): string[] {
  const faults: string[] = [];
  if (p50 > (budget.p50 ?? Number.POSITIVE_INFINITY))
    faults.push(`${name}: ${p50}${unit}, expected at most ${budget.p50}`);
  if (p95 > (budget.p95 ?? Number.POSITIVE_INFINITY)) {
    faults.push(`${name}: 95th percentile ${p95}${unit}, expected at most ${budget.p95}`);
  }
  if (p50 < (budget.least ?? 0)) faults.push(`${name}: ${p50}${unit}, expected at least ${budget.least}`);
  return faults;
}
