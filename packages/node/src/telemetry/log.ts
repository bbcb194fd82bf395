import { type DestinationStream, destination, type Logger as Pino, pino, stdSerializers } from 'pino';

export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>;

/** The node's log: JSON lines on stderr, so that stdout stays for what was asked. */
export function createLogger(level: string, stream: DestinationStream = destination({ fd: 2, sync: true })): Logger {
  return pino({ level, base: null, serializers: { err: stdSerializers.errWithCause } }, stream);
}
