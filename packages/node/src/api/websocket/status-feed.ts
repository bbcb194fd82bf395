import { paced } from '../../deadline.ts';
import type { Ledger } from '../../ledger/index.ts';
import { textFrame } from './frame.ts';
import { Hub, type Interest } from './hub.ts';
import type { WebSocketLimits } from './limits.ts';
import type { MessageFeed } from './message-feed.ts';

export interface StatusFeedComponents {
  ledger: Pick<Ledger, 'subscribe'>;
  /** The figures that `/metrics.json` answers. */
  figures: () => object;
}

const EVERYTHING: Interest<string> = { key: '', form: '', matches: () => true };

/** Who is told of the node's figures: at once, and then as often as they change. */
export function openStatusFeed({ ledger, figures }: StatusFeedComponents, limits: WebSocketLimits): MessageFeed {
  const hub = new Hub<string>({ limits, encode: (text) => frame(text) });
  let told = '';
  const telling: ReturnType<typeof paced> = paced(limits.statusMs, () => {
    if (hub.size === 0) return;
    const text = JSON.stringify(figures());
    if (text === told) return;
    told = text;
    hub.tell(text);
  });
  // Whatever changes the figures is an event.
  const unsubscribe = ledger.subscribe(() => telling.ask());
  return {
    get size() {
      return hub.size;
    },
    close: (code, reason) => hub.close(code, reason),
    prepare: () => (subscriber) => {
      hub.join(subscriber, EVERYTHING);
      const first = frame(JSON.stringify(figures()));
      subscriber.take([first], first.bytes);
    },
    [Symbol.dispose]() {
      unsubscribe();
      telling[Symbol.dispose]();
      hub[Symbol.dispose]();
    },
  };
}

function frame(text: string) {
  return { itemHash: '', bytes: textFrame(text) };
}
