import { isAlias, isMap, isScalar, isSeq, type Node, type ParsedNode, parseDocument, type Range } from 'yaml';
import { type Fault, refusal } from './fault.ts';
import type { Place, RecipeNode, Source } from './node.ts';

/** As deep as a recipe is nested, twice. */
const MAX_DEPTH = 12;
/** More than these help nobody: one mistake early in a file makes many. */
const MAX_FAULTS = 20;
/** What YAML may not hold, and a terminal should not show. */
const UNPRINTABLE = /[^\P{Cc}\t\n\r\u{85}]|[\u{fffe}\u{ffff}]/u;
const TOO_DEEP = 'expected a few levels of maps and lists, found too many';
const YAML_FAULTS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'expected spaces, found a tab',
  MULTIPLE_DOCS: 'expected one document, found another after "---"',
  BAD_INDENT: 'expected the same indentation as the lines it belongs to',
  TAG_RESOLVE_FAILED: 'expected a value without a tag',
};

/**
 * Reads a recipe's text as YAML 1.2 that is nothing but maps, lists, text, numbers and truth values: no anchors, tags and
 * directives, each member once.
 * @throws RecipeError with all faults of the text
 */
export function readDocument(source: Source): RecipeNode {
  const placeAt = placesOf(source);
  const start: Place = { source, line: 1, column: 1 };
  const faultsOfText = (faults: readonly Fault[]) => refusal(faults.slice(0, MAX_FAULTS));
  const unprintable = UNPRINTABLE.exec(source.text);
  if (unprintable !== null) {
    const place = placeAt(unprintable.index);
    const code = unprintable[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    throw refusal([{ place, member: '', message: `expected text, found the control character U+${code}` }]);
  }
  const document = parse(source, start);
  const faults: Fault[] = [...document.errors, ...document.warnings].map(({ code, pos, message }) => ({
    place: placeAt(pos[0]),
    member: '',
    message: YAML_FAULTS[code] ?? `expected YAML: ${message.split('\n')[0]}`,
  }));
  // The library descends by recursion, and reports that there was no stack left as what is wrong with the text.
  const tooDeep = faults.find(({ message }) => message.includes('call stack'));
  if (tooDeep !== undefined) throw refusal([{ ...tooDeep, message: TOO_DEEP }]);
  if (faults.length > 0) throw faultsOfText(faults);
  if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2')
    faults.push({ place: start, member: '', message: 'expected YAML 1.2, found a directive of another version' });
  if (document.contents === null)
    throw refusal([{ place: start, member: '', message: 'expected a map, found nothing' }]);
  const reader: Reader = { source, placeAt, faults };
  const root = nodeOf(document.contents, { reader, member: '', depth: 0 });
  if (faults.length > 0) throw faultsOfText(faults);
  return root;
}

/** The library's own counter of lines misses those after some faults. */
function placesOf(source: Source): (offset: number) => Place {
  const starts = [0];
  for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { source, line: low + 1, column: Math.min(offset, source.text.length) - (starts[low] ?? 0) + 1 };
  };
}

function parse(source: Source, start: Place) {
  try {
    // Names that stand twice are found below: what the library does for it takes the square of their number.
    const options = { prettyErrors: false, uniqueKeys: false, logLevel: 'error' } as const;
    return parseDocument(source.text, { ...options, version: '1.2', schema: 'core', merge: false });
  } catch (cause) {
    throw refusal([{ place: start, member: '', message: TOO_DEEP }], { cause });
  }
}

interface Reader {
  source: Source;
  placeAt: (offset: number) => Place;
  faults: Fault[];
}

interface Where {
  reader: Reader;
  member: string;
  depth: number;
  keyPlace?: Place;
}

type Found = ParsedNode | Node | null;

function nodeOf(node: Found, where: Where): RecipeNode {
  const { reader, member, depth, keyPlace } = where;
  const range: Range | null | undefined = node?.range;
  const place = range ? reader.placeAt(range[0]) : (keyPlace ?? { source: reader.source, line: 1, column: 1 });
  const at = { place, ...(keyPlace ? { keyPlace } : {}) };
  const refuse = (message: string): RecipeNode => {
    reader.faults.push({ place, member, message });
    return { ...at, kind: 'scalar', value: null };
  };
  if (depth > MAX_DEPTH) return refuse(TOO_DEEP);
  if (isAlias(node) || (node !== null && 'anchor' in node && node.anchor !== undefined))
    return refuse('expected the value itself, found an anchor or an alias of YAML');
  if (node !== null && 'tag' in node && node.tag !== undefined && !isPlainTag(node))
    return refuse(`expected a value without a tag, found "${node.tag}"`);
  const below = (name: string) => (member === '' ? name : `${member}.${name}`);
  if (isSeq<Found>(node)) {
    const items = node.items.map((item, index) =>
      nodeOf(item, { reader, member: below(String(index)), depth: depth + 1 }),
    );
    return { ...at, kind: 'list', items };
  }
  if (isMap<Found, Found>(node)) {
    const members = new Map<string, RecipeNode>();
    for (const { key, value } of node.items) {
      const placeOfKey = key?.range ? reader.placeAt(key.range[0]) : place;
      const name = isScalar(key) ? (typeof key.value === 'string' ? key.value : (key.source ?? '')) : '';
      const fault = faultOfName(key, name, members);
      if (fault !== undefined) reader.faults.push({ place: placeOfKey, member: below(name), message: fault });
      else members.set(name, nodeOf(value, { reader, member: below(name), depth: depth + 1, keyPlace: placeOfKey }));
    }
    return { ...at, kind: 'map', members };
  }
  if (!isScalar(node)) return { ...at, kind: 'scalar', value: null };
  const { value, source: written } = node;
  return { ...at, kind: 'scalar', value, ...(typeof value === 'string' || !written ? {} : { written }) };
}

function faultOfName(key: Found, name: string, members: ReadonlyMap<string, unknown>): string | undefined {
  if (!isScalar(key) || name === '') return 'expected a name';
  if (key.anchor !== undefined) return 'expected the value itself, found an anchor or an alias of YAML';
  if (key.tag !== undefined && key.tag !== 'tag:yaml.org,2002:str')
    return `expected a value without a tag, found "${key.tag}"`;
  if (members.has(name)) return 'expected it once, found it again';
  // An object's own member of this name is not told from its prototype by everything that reads it.
  return name === '__proto__' ? 'expected another name' : undefined;
}

/** Tags that say what a value is anyway. */
function isPlainTag(node: { tag?: string | undefined }): boolean {
  return (
    node.tag === 'tag:yaml.org,2002:str' || node.tag === 'tag:yaml.org,2002:map' || node.tag === 'tag:yaml.org,2002:seq'
  );
}
