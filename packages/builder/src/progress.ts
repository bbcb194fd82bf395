/** Told each step as it starts, and what a long step is doing; `cached` for what need not be done. */
export type OnProgress = (step: string, detail?: string) => void;

/**
 * The same, with each step's number before its name: `[2/6] Fetching packages`.
 * @param total how many there will be
 */
export function numbered(onProgress: OnProgress | undefined, total: number): OnProgress | undefined {
  if (onProgress === undefined) return undefined;
  let count = 0;
  let current: string | undefined;
  return (step, detail) => {
    if (step !== current) count += 1;
    current = step;
    onProgress(`[${count}/${Math.max(total, count)}] ${step}`, detail);
  };
}
