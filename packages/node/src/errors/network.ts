import { apiErrors } from './network-api.ts';
import { priceErrors } from './network-price.ts';
import { storageErrors } from './network-storage.ts';

/** Errors of homes, content, messages, admission, keys and the API. */
export const networkErrors = { ...storageErrors, ...apiErrors, ...priceErrors };
