import * as z from 'zod';

/** RFC 9457 problem details as a node sends them. */
const problemSchema = z.object({
  type: z.string().startsWith('urn:vmlet:error:'),
  status: z.int(),
  code: z.string(),
  phase: z.string(),
  cause: z.string(),
  next: z.string(),
  detail: z.string().optional(),
});

export type NodeProblem = z.output<typeof problemSchema>;

/** Reads the text of a problem; undefined where it is none of a node's, but a program's own for example. */
export function parseProblem(text: string): NodeProblem | undefined {
  try {
    return problemSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Whether the type says that the body is a problem. */
export function isProblemType(contentType: string | undefined): boolean {
  return /^application\/problem\+json\b/i.test(contentType ?? '');
}

/** A node refused or failed a request, and said why. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: NodeProblem;

  constructor(problem: NodeProblem) {
    super(problem.cause);
    this.problem = problem;
  }
}
