/**
 * Header of a request that the node itself makes to a program because something has happened. Its value says what: the name
 * of the ASGI scope that such an event has. No visitor can send it: the gateway takes it out.
 */
export const EVENT_HEADER = 'x-vmlet-event';
