import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ItemHash } from '@vmlet/messages';
import { asVmletError, VmletError } from '../errors.ts';
import { Allowance, COSTS } from './allowance.ts';
import { withBody } from './body.ts';
import type { ProgramCache } from './cache.ts';
import { answerCache, isCachePath } from './cache-routes.ts';
import type { Caller } from './caller.ts';
import type { Identities } from './identities.ts';
import { type AskApi, publishMessage, publishToTopic, readJson } from './publish-routes.ts';
import { CallServer, sendJson, sendProblem } from './server.ts';
import { signMessage } from './sign.ts';

/** Of a message that is to be signed or published, in bytes; as the network API has it. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Programs of which it is remembered what they called. */
const MAX_REMEMBERED = 1024;
const PUBSUB = /^\/api\/v0\/(?:ipfs|p2p)\/pubsub\/pub$/;
const UPLOAD = /^\/api\/v0\/(?:storage|ipfs)\/add_[a-z]+$/;
/** What the network API is told of a program's request. */
const KEPT_HEADERS = [
  'accept',
  'content-length',
  'content-type',
  'expect',
  'if-none-match',
  'range',
  'transfer-encoding',
];

/** The network API, without a socket. */
export interface NetworkApi {
  handler(request: IncomingMessage, response: ServerResponse): void;
  ask: AskApi;
}

export interface GuestApiComponents {
  identities: Pick<Identities, 'of'>;
  cache: ProgramCache;
  /** Whose program it is. @throws VmletError if it is none any more */
  ownerOf: (itemHash: ItemHash) => string;
  /** By which it is counted how often programs call, in milliseconds. */
  nowMs?: () => number;
  /** Told of what nobody expected. */
  onFailure: (failure: { error: VmletError; itemHash: ItemHash; method: string; path: string }) => void;
}

/** How a program's calls are answered, and what it is told of itself. */
export interface Host {
  variables: Record<string, string>;
  onCall: (stream: Duplex) => void;
}

/**
 * What programs may call from inside their machines. Who calls is known by the machine whose stream it is: nothing that
 * a program says makes it another one.
 */
export class GuestApi {
  readonly #components: GuestApiComponents;
  readonly #server: CallServer;
  /** Of programs, not of machines: two clones share what their program may call. */
  readonly #allowances = new Map<ItemHash, Allowance>();
  /** Until the node's API is there, nothing of it can be read or published. */
  #api: NetworkApi | undefined;

  constructor(components: GuestApiComponents) {
    this.#components = components;
    this.#server = new CallServer((caller, request, response) => void this.#take(caller, request, response));
  }

  /** Gives it the network API, which is made after those who run programs. */
  connect(api: NetworkApi): void {
    this.#api = api;
  }

  /**
   * What a program is to call; undefined if its message wants nothing to call.
   * @throws VmletError if its key cannot be read or made
   */
  readonly hostOf = async (program: { itemHash: ItemHash; guestApi: boolean }): Promise<Host | undefined> => {
    if (!program.guestApi) return undefined;
    const { itemHash } = program;
    const key = await this.#components.identities.of({ itemHash, owner: this.#components.ownerOf(itemHash) });
    const caller = { itemHash, key, allowance: this.#allowanceOf(itemHash) };
    return {
      variables: { ALEPH_ADDRESS_TO_USE: key.signer.address },
      onCall: (stream) => this.#server.accept(stream, caller),
    };
  };

  #allowanceOf(itemHash: ItemHash): Allowance {
    const known = this.#allowances.get(itemHash) ?? new Allowance(this.#components.nowMs);
    this.#allowances.delete(itemHash);
    this.#allowances.set(itemHash, known);
    const [oldest] = this.#allowances.keys();
    if (this.#allowances.size > MAX_REMEMBERED && oldest !== undefined) this.#allowances.delete(oldest);
    return known;
  }

  async #take(caller: Caller, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    try {
      const target = targetOf(request);
      // Its program may have been removed while its machine ends.
      this.#components.ownerOf(caller.itemHash);
      await this.#answer(target, { caller, request, response });
    } catch (thrown) {
      if (response.destroyed) return;
      const error = asVmletError(thrown);
      const { itemHash } = caller;
      const { status, fault } = error.entry;
      // What programs bring about by themselves is told to them alone: they could fill the node's log with it.
      if (status >= 500 && fault !== 'program')
        this.#components.onFailure({ error, itemHash, method, path: url.slice(0, 256) });
      sendProblem(request, response, error);
    }
  }

  async #answer(url: URL, { caller, request, response }: Call): Promise<void> {
    const { allowance, key } = caller;
    const path = url.pathname;
    const { method = '' } = request;
    const isRead = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
    if (isCachePath(path)) {
      await answerCache(url, { cache: this.#components.cache, caller, request, response });
    } else if (path === '/properties' && isRead) {
      allowance.spend(COSTS.cheap);
      const { chain, address } = key.signer;
      sendJson(response, { chain, curve: 'secp256k1', address, public_key: key.publicKey });
    } else if (path === '/sign' && method === 'POST') {
      allowance.spend(COSTS.sign);
      await withMessage(caller, request, async (message) => {
        const signed = await signMessage(message, key);
        // The reference system's client reads its own content from the answer.
        sendJson(response, { ...(message as object), ...signed });
      });
    } else if (method === 'POST' && (path === '/api/v0/messages' || PUBSUB.test(path))) {
      allowance.spend(COSTS.publish);
      const askApi = this.#network().ask;
      await withMessage(caller, request, (body) => {
        const publication = { body, caller, askApi, response };
        return PUBSUB.test(path) ? publishToTopic(path, publication) : publishMessage(publication);
      });
    } else if (isRead || (method === 'POST' && UPLOAD.test(path))) {
      allowance.spend(isRead ? COSTS.read : COSTS.publish);
      this.#passOn(request, response);
    } else throw new VmletError('GUEST_ROUTE_UNKNOWN', { operands: { method, path: path.slice(0, 256) } });
  }

  /** The network API streams by itself, at the pace of the program. */
  #passOn(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request;
    const kept = KEPT_HEADERS.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]);
    request.headers = { host: 'localhost', ...Object.fromEntries(kept) };
    this.#network().handler(request, response);
  }

  #network(): NetworkApi {
    if (!this.#api) throw new VmletError('NODE_STOPPING');
    return this.#api;
  }
}

interface Call {
  caller: Caller;
  request: IncomingMessage;
  response: ServerResponse;
}

function withMessage(
  { allowance }: Caller,
  request: IncomingMessage,
  use: (message: unknown) => Promise<void>,
): Promise<void> {
  const maxBytes = MAX_MESSAGE_BYTES;
  const tooLarge = () => new VmletError('API_BODY_TOO_LARGE', { operands: { maxBytes } });
  return withBody(request, { maxBytes, allowance, tooLarge }, (body) => use(readJson(body.toString('utf8'))));
}

/** @throws VmletError `GUEST_ROUTE_UNKNOWN` for what is no path */
function targetOf({ method = '', url = '' }: IncomingMessage): URL {
  const target = url.startsWith('/') ? URL.parse(`http://localhost${url}`) : null;
  if (target) return target;
  throw new VmletError('GUEST_ROUTE_UNKNOWN', { operands: { method, path: url.slice(0, 256) } });
}
