/** What stands for one licence, and for one with an exception, in the expression that comes out. */
export interface Terms {
  termOf: (name: string, exception: string | undefined) => string;
}

/**
 * Reads licences joined by "and" and "or", in any case, "and" binding more, with brackets, and with
 * "NAME with NAME exception": the form of Debian's copyright files, of npm, of apk, and of SPDX.
 * @returns an expression of SPDX; undefined for text of another form, such as a sentence
 */
export function readExpression(text: string, { termOf }: Terms): string | undefined {
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  let isWrong = false;
  const isNext = (word: string) => tokens[0]?.toLowerCase() === word;
  const name = (): string => {
    const token = tokens.shift() ?? '';
    if (!/^[\w.+~:/-]+$/.test(token) || /^(and|or|with)$/i.test(token)) isWrong = true;
    return token;
  };
  const term = (): string => {
    if (isNext('(')) {
      tokens.shift();
      const inner = alternatives();
      if (tokens.shift() !== ')') isWrong = true;
      return inner;
    }
    const licence = name();
    if (!isNext('with')) return termOf(licence, undefined);
    tokens.shift();
    const exception = name();
    if (isNext('exception')) tokens.shift();
    return termOf(licence, exception);
  };
  const joined = (operator: string, part: () => string): string => {
    const parts = [part()];
    while (!isWrong && isNext(operator)) {
      tokens.shift();
      parts.push(part());
    }
    const grouped = (one: string) => (/ (AND|OR) /.test(one) ? `(${one})` : one);
    return parts.length === 1 ? (parts[0] ?? '') : parts.map(grouped).join(` ${operator.toUpperCase()} `);
  };
  const alternatives = (): string => joined('or', () => joined('and', term));
  const expression = alternatives();
  return isWrong || tokens.length > 0 ? undefined : expression;
}
