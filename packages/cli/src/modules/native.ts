import { readFile } from 'node:fs/promises';
import { newestSymbol, readProgram } from '../detect/elf.ts';
import type { SourceFile } from '../pack/walk.ts';

/** What the official runtime for Node.js has (Debian 11, Node.js 24): libraries, and the version of its binary interface. */
const RUNTIME = { glibc: 31, libstdcxx: 28, abi: 137 };
/** Where node-gyp and its like put what they build on a machine. */
const BUILT_HERE = /\/build\//;
/** What is built for others, by the names of files that packages bring for every system. */
const ELSEWHERE =
  /(?:^|[/.+_-])(?:darwin|win32|windows|freebsd|android|arm|arm64|armv\d\w*|aarch64|ia32|s390x|ppc64|riscv64|musl|alpine)(?:$|[/.+_-])/;
/** A file longer than this is taken as it is. */
const MAX_NATIVE_BYTES = 64 * 1024 * 1024;

/**
 * Finds packages whose native parts do not run in the official runtime: built on this machine against newer libraries
 * or another Node.js, or for another system. A package that brings parts for many systems needs one that fits.
 * @param files of all packages
 * @returns for each such package the reason, in words
 */
export async function unfitModules(files: readonly SourceFile[]): Promise<string[]> {
  const byPackage = Map.groupBy(
    files.filter((file) => file.path.endsWith('.node') && file.linkTarget === undefined),
    (file) => packageOf(file.path),
  );
  const faults: string[] = [];
  for (const [name, parts] of byPackage) {
    const fault = await faultOfPackage(name, parts);
    if (fault !== undefined) faults.push(`${name.split('node_modules/').at(-1)} ${fault}`);
  }
  return faults;
}

/** Of what a package brings for many systems one that fits is enough; what was built here is all for this one. */
async function faultOfPackage(name: string, parts: readonly SourceFile[]): Promise<string | undefined> {
  const isIn = (pattern: RegExp) => (part: SourceFile) => pattern.test(part.path.slice(name.length));
  const built = await Promise.all(parts.filter(isIn(BUILT_HERE)).map(faultOf));
  if (built.length > 0) return built.find((fault) => fault !== undefined);
  const near = parts.filter((part) => !isIn(ELSEWHERE)(part));
  const faults = await Promise.all((near.length > 0 ? near : parts).map(faultOf));
  return faults.includes(undefined) ? undefined : faults[0];
}

async function faultOf({ absolutePath, sizeBytes }: SourceFile): Promise<string | undefined> {
  if (sizeBytes > MAX_NATIVE_BYTES) return undefined;
  const bytes = await readFile(absolutePath);
  const program = readProgram(bytes);
  if (program?.fits !== true) return `is built for ${program?.built ?? 'something unknown'}`;
  const glibc = newestSymbol(bytes, /GLIBC_2\.(\d+)/g);
  if (glibc > RUNTIME.glibc) return `is built with glibc 2.${glibc}, and the runtime has 2.${RUNTIME.glibc}`;
  if (newestSymbol(bytes, /GLIBCXX_3\.4\.(\d+)/g) > RUNTIME.libstdcxx)
    return 'is built with a newer C++ library than the runtime has';
  if (bytes.includes('libc.musl')) return 'is built for musl';
  const abi = newestSymbol(bytes, /node_register_module_v(\d+)/g);
  return abi !== 0 && abi !== RUNTIME.abi ? 'is built for another version of Node.js' : undefined;
}

function packageOf(path: string): string {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path;
}
