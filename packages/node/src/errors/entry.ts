/** Where in a request's or a message's life an error belongs. */
export type Phase =
  | 'config'
  | 'message'
  | 'content'
  | 'admission'
  | 'route'
  | 'runtime'
  | 'code'
  | 'queue'
  | 'boot'
  | 'snapshot'
  | 'load'
  | 'serve'
  | 'halt'
  | 'internal';

/** One kind of error: who is at fault, what a client sees, and what to do next. */
export interface CatalogueEntry {
  phase: Phase;
  /** HTTP status. */
  status: number;
  title: string;
  /** `Cannot <verb> <operand>: <state found>, expected <state wanted>`, with `{operand}` places. */
  template: string;
  /** The next step, for a person. */
  hint: string;
  fault: 'user' | 'program' | 'operator' | 'platform';
  retryable: boolean;
}

/** Checks the shape of one entry while keeping its key a literal. */
export const entry = (e: CatalogueEntry): CatalogueEntry => e;
