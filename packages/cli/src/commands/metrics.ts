import type { Command } from 'commander';
import { addExamples, type Cli } from '../cli.ts';
import { locateNode, ownerOf } from '../client/locate.ts';
import type { Context } from '../context.ts';
import { clean } from '../terminal-text.ts';

/** A sample of the OpenMetrics text format: its name, labels and value. */
const SAMPLE = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** `vmlet metrics`. */
export function registerMetrics({ program, run }: Cli): void {
  const command = program
    .command('metrics')
    .summary('print the figures of the node, as Prometheus reads them')
    .description(
      'Prints what the node counts, in the OpenMetrics text format: starts by what machines were made from, how long ' +
        'they and their steps took, requests, failures by code, machines by state. With --json a list of samples. The ' +
        'node has them on its owner socket only, at /metrics.',
    );
  addExamples(command, [
    ['vmlet metrics', 'all of them'],
    ['vmlet metrics > /var/lib/prometheus/node-exporter/vmlet.prom', 'for the textfile collector of node_exporter'],
    [
      `vmlet metrics --json | jq '.samples[] | select(.name == "vmlet_starts_total")'`,
      'starts, by what they were from',
    ],
  ]);
  command.action(async (_options: unknown, self: Command) => {
    await run(self, metrics);
  });
}

async function metrics(context: Context): Promise<undefined> {
  const { output, signal } = context;
  const owner = ownerOf(await locateNode(context), { what: 'read metrics', instead: '' });
  const lines = clean(await owner.metrics(signal))
    .trimEnd()
    .split('\n');
  if (output.isJson) output.json({ samples: lines.flatMap(sampleOf) });
  else for (const line of lines) output.line(line);
}

function sampleOf(line: string): { name: string; labels: Record<string, string>; value: number }[] {
  const [, name, labelsText = '', value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined) return [];
  const labels = [...labelsText.matchAll(LABEL)].map(([, label = '', text = '']) => [label, text]);
  return [{ name, labels: Object.fromEntries(labels), value: Number(value) }];
}
