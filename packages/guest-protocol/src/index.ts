/** The control protocol between host, init0 and init1: `docs/formats/frames.md` describes it byte by byte. */
export { encodeFrame, FrameDecoder, ProtocolError } from './frames.ts';
export { FIELD_LIMITS, MAX_FRAME_BYTES, PROTOCOL_VERSION } from './limits.ts';
export { type GuestMessage, guestMessage, type HostMessage, hostMessage } from './messages.ts';
