import { entry } from './entry.ts';

/** Errors of prices, balances and credits. */
export const priceErrors = {
  PRICE_NONE: entry({
    phase: 'message',
    status: 400,
    title: 'No price',
    template: "Cannot price '{operand}': found a message of type {type}, expected PROGRAM, INSTANCE or STORE",
    hint: 'Only what takes room or runs has a price; everything else is free',
    fault: 'user',
    retryable: false,
  }),
  PRICE_NOT_IN_FORCE: entry({
    phase: 'message',
    status: 404,
    title: 'Not in force',
    template: "Cannot price the message '{itemHash}': it is {status}, expected one in force",
    hint: 'See what became of it with GET /api/v0/messages/{itemHash}; an estimate needs no message in force',
    fault: 'user',
    retryable: false,
  }),
  PRICE_GONE: entry({
    phase: 'message',
    status: 410,
    title: 'Message gone',
    template: "Cannot price the message '{itemHash}': it is {status}, expected one in force",
    hint: 'It costs nothing any more',
    fault: 'user',
    retryable: false,
  }),
  PRICE_CONTENT_MALFORMED: entry({
    phase: 'message',
    status: 422,
    title: 'Nothing that could be priced',
    template: "Cannot estimate a price: found {found} at '{path}', expected {wanted}",
    hint: 'Correct that member and ask again',
    fault: 'user',
    retryable: false,
  }),
  CREDIT_HISTORY_EMPTY: entry({
    phase: 'route',
    status: 404,
    title: 'No credit history',
    template: "Cannot list the credits of '{address}': this network counts none, expected an address with a history",
    hint: 'Publishing and running are free here: no credits are needed',
    fault: 'user',
    retryable: false,
  }),
  AUTH_TOKEN_REFUSED: entry({
    phase: 'admission',
    status: 401,
    title: 'Not authorised',
    template: 'Cannot recalculate prices: found {found}, expected a token of the operator in the header X-Auth-Token',
    hint: 'Leave it: prices are calculated when they are asked for. Only a token that the key of the operator signed counts',
    fault: 'user',
    retryable: false,
  }),
};
