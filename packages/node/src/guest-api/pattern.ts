/** Whether a key matches a pattern: `*` is any run of characters, `?` any one. In time of the product of their lengths. */
export function matches(key: string, pattern: string): boolean {
  const [text, glob] = [[...key], [...pattern]];
  let at = 0;
  let next = 0;
  // Where the last star stands, and from where in the key what follows it is tried.
  let star = -1;
  let from = 0;
  while (at < text.length) {
    if (glob[next] === '*') {
      star = next++;
      from = at;
    } else if (next < glob.length && (glob[next] === '?' || glob[next] === text[at])) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++from;
    } else return false;
  }
  while (glob[next] === '*') next++;
  return next === glob.length;
}
