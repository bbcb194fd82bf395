/** One step of a database's schema. Steps are never edited once released: a change is a new step at the end. */
export interface Migration {
  /** 1 for the first, then one more each; stands in SQLite's `user_version`. */
  readonly version: number;
  readonly up: string;
  /**
   * Set by a step that makes a table anew which others refer to. Foreign keys are off while it runs, for dropping the
   * old table would delete what refers to it; the step fails if any reference leads nowhere after it.
   */
  readonly rebuilds?: true;
}
