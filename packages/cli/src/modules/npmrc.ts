/** Settings that say where packages come from and how they are chosen. Everything else stays on this host. */
const PASSED =
  /^(?:(?:@[\w.~-]+:)?registry|legacy-peer-deps|strict-peer-deps|engine-strict|install-strategy|omit-lockfile-registry-resolved|replace-registry-host|prefer-dedupe|save-exact|ignore-scripts|before|min-release-age)$/;
/** What proves who one is. */
const SECRET = /(?:_authToken|_auth|_password|username|email|certfile|keyfile|cert|key)$/;

/**
 * Takes from the text of an .npmrc what may leave this host. A machine that installs runs code of packages, and must
 * not find anybody's token.
 * @returns lines for another .npmrc, and the names of secrets that were left out, each once
 */
export function npmSettings(text: string): { settings: string[]; secrets: string[] } {
  const settings = new Map<string, string>();
  const secrets = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^\s*([^#;\s=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    if (SECRET.test(name)) secrets.add(name.replace(/^.*:/, ''));
    // A URL may carry a password, and a variable of this host may be one.
    else if (PASSED.test(name) && !/\$\{|:\/\/[^/]*@/.test(value)) settings.set(name, value);
  }
  return { settings: [...settings].map(([name, value]) => `${name}=${value}`), secrets: [...secrets] };
}
