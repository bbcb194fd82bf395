import { describe, expect, test } from 'vitest';
import { CLI_ERRORS, CliError, type CliErrorCode } from './errors.ts';
import { EXIT_CODE_MEANINGS } from './exit-codes.ts';

const codes = Object.keys(CLI_ERRORS) as CliErrorCode[];

describe('CLI_ERRORS', () => {
  test.each(codes)('CLI_ERRORS: words %s as the house does, when rendered', (code) => {
    const { template, hint, exitCode } = CLI_ERRORS[code];
    const names = [...`${template} ${hint}`.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
    const error = new CliError(code, { operands: Object.fromEntries(names.map((name) => [name, 'Operand'])) });
    expect(error.message).toMatch(/^Cannot [a-z]+.*: .+, expected .+[^.]$/);
    expect(error.message).not.toMatch(/[{}]|\bInvalid\b|n't\b/);
    expect(error.next).toMatch(/^[A-Z].*[^.]$/);
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(EXIT_CODE_MEANINGS.map(([known]) => known)).toContain(exitCode);
  });
});
