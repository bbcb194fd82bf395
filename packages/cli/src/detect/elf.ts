/** What the headers of a program say of it. */
export interface ProgramFile {
  readonly format: 'elf' | 'mach-o' | 'windows';
  /** Whether it runs on 64-bit x86 under Linux. */
  readonly fits: boolean;
  /** What it was built for, in words. */
  readonly built: string;
  /** The dynamic loader that it wants; undefined for a static program. */
  readonly interpreter: string | undefined;
}

/** Magic numbers, as the first four bytes read big-endian. */
const ELF = 0x7f454c46;
const MACH_O = new Set([0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe, 0xcafebabe]);
const HEADER_BYTES = 64;
/** Offsets in the header of a 64-bit ELF file (elf.h, Elf64_Ehdr and Elf64_Phdr). */
const AT = { class: 4, data: 5, machine: 18, headers: 32, headerSize: 54, headerCount: 56 };
const SEGMENT = { offset: 8, fileSize: 32 };
const PT_INTERP = 3;
const X86_64 = 62;
const MACHINES: Readonly<Record<number, string>> = {
  3: '32-bit x86',
  8: 'MIPS',
  20: 'PowerPC',
  21: '64-bit PowerPC',
  22: 'S/390',
  40: '32-bit ARM',
  [X86_64]: 'x86-64',
  183: '64-bit ARM (aarch64)',
  243: 'RISC-V',
  258: 'LoongArch',
};

/**
 * Reads the headers of an executable. The file may be anybody's: every offset is checked.
 * @param head its first bytes, 64 KiB or all
 * @returns undefined for what is no binary program
 */
export function readProgram(head: Buffer): ProgramFile | undefined {
  if (head.length < HEADER_BYTES) return undefined;
  const magic = head.readUInt32BE(0);
  if (magic === ELF) return readElf(head);
  const foreign = { fits: false, interpreter: undefined };
  if (MACH_O.has(magic)) return { format: 'mach-o', built: 'macOS', ...foreign };
  if (head.toString('latin1', 0, 2) === 'MZ') return { format: 'windows', built: 'Windows', ...foreign };
  return undefined;
}

function readElf(head: Buffer): ProgramFile {
  const isLittle = head[AT.data] === 1;
  const machine = isLittle ? head.readUInt16LE(AT.machine) : head.readUInt16BE(AT.machine);
  const built = MACHINES[machine] ?? `another processor (ELF machine ${machine})`;
  const fits = head[AT.class] === 2 && isLittle && machine === X86_64;
  return { format: 'elf', fits, built, interpreter: fits ? interpreterOf(head) : undefined };
}

/** The text of the PT_INTERP segment; undefined for a program without one, which needs no loader. */
function interpreterOf(head: Buffer): string | undefined {
  const first = Number(head.readBigUInt64LE(AT.headers));
  const size = head.readUInt16LE(AT.headerSize);
  const count = head.readUInt16LE(AT.headerCount);
  for (let index = 0; index < count; index++) {
    const at = first + index * size;
    if (at + SEGMENT.fileSize + 8 > head.length) return undefined;
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const start = Number(head.readBigUInt64LE(at + SEGMENT.offset));
    const length = Number(head.readBigUInt64LE(at + SEGMENT.fileSize));
    return head.toString('latin1', start, start + Math.max(0, length - 1)) || 'a loader';
  }
  return undefined;
}

/** The newest version of a symbol that a binary asks for, such as 34 for `GLIBC_2.34`; 0 for none. */
export function newestSymbol(bytes: Buffer, pattern: RegExp): number {
  const versions = bytes.toString('latin1').matchAll(pattern);
  return [...versions].reduce((most, [, minor]) => Math.max(most, Number(minor)), 0);
}
