/**
 * The host's clock, as frames carry it; `behindMs` milliseconds ago. Not `performance.timeOrigin`: that misses steps of the clock and sleep.
 */
export function wallClock(behindMs = 0): { sec: number; nsec: number } {
  const ms = Date.now() - behindMs;
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1e6 };
}
