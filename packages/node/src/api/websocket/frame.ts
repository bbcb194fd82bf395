const TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/** One text frame as a server sends it (RFC 6455, 5.2): made once, and written to whoever wants it. */
export function textFrame(text: string): Buffer {
  const lengthBytes = Buffer.byteLength(text);
  const head = headOf(lengthBytes);
  const frame = Buffer.allocUnsafeSlow(head.length + lengthBytes);
  head.copy(frame);
  frame.write(text, head.length);
  return frame;
}

function headOf(lengthBytes: number): Buffer {
  if (lengthBytes < LENGTH_16) return Buffer.from([TEXT, lengthBytes]);
  if (lengthBytes < 1 << 16) {
    const head = Buffer.from([TEXT, LENGTH_16, 0, 0]);
    head.writeUInt16BE(lengthBytes, 2);
    return head;
  }
  const head = Buffer.from([TEXT, LENGTH_64, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeBigUInt64BE(BigInt(lengthBytes), 2);
  return head;
}
