/** What launchers and programs find in a machine, and where they serve. */
export { environmentOf, GUEST_HTTP_PORT, keepsConnections, launcherEnvironment, portOf } from './environment.ts';
