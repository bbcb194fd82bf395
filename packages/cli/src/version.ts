import packageJson from '../package.json' with { type: 'json' };

/** Of this command. */
export const VERSION: string = packageJson.version;
