/** This machine cannot make a box; the message says what to do about it. */
export class BoxUnavailable extends Error {
  override readonly name = 'BoxUnavailable';
  /** What whoever runs the machine does next. */
  readonly nextStep: string;
  constructor(found: string, nextStep: string, options: { cause?: unknown } = {}) {
    super(`Cannot open a box to build in: ${found} (${nextStep})`, options);
    this.nextStep = nextStep;
  }
}
