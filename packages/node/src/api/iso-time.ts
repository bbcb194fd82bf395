/** A time in seconds as ISO 8601 in UTC, as the network's clients read it. */
export function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
