const EVM_ADDRESS = /^0x[0-9a-f]{40}$/i;

/** An address in the form it is looked up by: EVM ones in lower case, all others as they are. */
export function addressKey(address: string): string {
  return EVM_ADDRESS.test(address) ? address.toLowerCase() : address;
}
