/** Run in a box, by Node: reads a request from its stdin, looks at a tree, and prints what it is made of. */
import { text } from 'node:stream/consumers';
import { type SurveyRequest, survey } from './survey.ts';

const request: SurveyRequest = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(await survey(request)));
