/** One step of a database's schema. Steps are never edited once released: a change is a new step at the end. */
export interface Migration {
  /** 1 for the first, then one more each; stands in SQLite's `user_version`. */
  readonly version: number;
  readonly up: string;
}
