/** Lists of messages, of posts and of what came, with filters. */
export type { ListKey } from './list-key.ts';
export { type Lists, type MessageList, openLists, type Page, type Selection, type Stretch } from './lists.ts';
export type { ListedMessage, ListedPost } from './row-reader.ts';
