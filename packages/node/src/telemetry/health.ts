/** How a check went. A warning is something that works worse than it could. */
export type CheckStatus = 'ok' | 'warning' | 'error';

/** One line of `vmlet doctor`. */
export interface Check {
  code: string;
  title: string;
  status: CheckStatus;
  /** What was found. */
  text: string;
  /** What to do, where something is to be done. */
  fix?: string;
}

/** What a check found. */
export type Finding = Omit<Check, 'code' | 'title'>;

/** One entry of the health catalogue. */
export interface Probe {
  code: string;
  title: string;
  /** Codes of checks without which this one has no meaning: if one of them fails, this one is left out. */
  dependsOn?: readonly string[];
  check: () => Promise<Finding>;
}

/**
 * Runs the catalogue in its order. A check that throws is an error with that text; a cause hides its consequences.
 * Each entry's dependencies MUST stand before it.
 */
export async function examine(catalogue: readonly Probe[]): Promise<Check[]> {
  const checks: Check[] = [];
  const failed = new Set<string>();
  for (const { code, title, dependsOn = [], check } of catalogue) {
    if (dependsOn.some((other) => failed.has(other))) {
      failed.add(code);
      continue;
    }
    const finding = await check().catch(
      (error: unknown): Finding => ({ status: 'error', text: error instanceof Error ? error.message : String(error) }),
    );
    if (finding.status === 'error') failed.add(code);
    checks.push({ code, title, ...finding });
  }
  return checks;
}
