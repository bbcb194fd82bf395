import { AuthenticatedAlephHttpClient } from '@aleph-sdk/client';
import { type ETHAccount, newAccount as newEthAccount } from '@aleph-sdk/ethereum';
import { BaseMessageClient } from '@aleph-sdk/message';
import { newAccount as newSolAccount, type SOLAccount } from '@aleph-sdk/solana';
import type { NodeOptions } from '@vmlet/node';
import { startTestNode, type TestNode } from '../framework/node.ts';

/** What the contract's clients write to. */
export const CHANNEL = 'CONTRACT';

/** A node that anybody may publish to, and the network's own, unmodified clients of it. */
export interface ContractNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly url: string;
  readonly account: ETHAccount;
  readonly solAccount: SOLAccount;
  readonly client: AuthenticatedAlephHttpClient;
  readonly solClient: AuthenticatedAlephHttpClient;
  /** With the address of WebSockets, which the clients above take from a constant. */
  readonly messages: BaseMessageClient;
}

/** Starts both. */
export async function startContractNode(options: Partial<NodeOptions> = {}): Promise<ContractNode> {
  const node = await startTestNode({ allow: 'any', ...options });
  const { account } = newEthAccount();
  const { account: solAccount } = newSolAccount();
  return {
    node,
    url: node.url,
    account,
    solAccount,
    client: new AuthenticatedAlephHttpClient(account, node.url),
    solClient: new AuthenticatedAlephHttpClient(solAccount, node.url),
    messages: new BaseMessageClient(node.url, node.url.replace('http', 'ws')),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}
