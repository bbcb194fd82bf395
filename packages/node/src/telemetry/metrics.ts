/** What a sample is told apart by: names and values, both from sets that are small and known. */
type Labels = Readonly<Record<string, string>>;

/** One family of samples, with all that is told of it. */
interface Family {
  name: string;
  type: 'counter' | 'gauge' | 'histogram' | 'info';
  help: string;
  /** Lines of samples. */
  samples: () => string[];
}

/** Counts what happens. */
export interface Counter<Label extends string> {
  add(labels: Readonly<Record<Label, string>>, amount?: number): void;
}

/** Counts durations by how long they were. */
export interface Histogram<Label extends string> {
  observeMs(labels: Readonly<Record<Label, string>>, ms: number): void;
}

interface Distribution {
  /** How many fell into each bucket, the last one being what is longer than all bounds. */
  counts: number[];
  sumMs: number;
  createdMs: number;
}

/** The type of what `expose` answers. */
export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/**
 * Figures of the node, told in the OpenMetrics text format, which Prometheus reads. Durations are in seconds there, as
 * the format wants them. Labels MUST come from small sets: never from a request, a program or a guest.
 */
export class Metrics {
  readonly #families: Family[] = [];

  /** @param name without `_total`, which its samples end with */
  counter<Label extends string = never>(name: string, help: string): Counter<Label> {
    const values = new Map<string, number>();
    this.#families.push({
      ...{ name, help, type: 'counter' },
      samples: () => [...values].map(([labels, value]) => `${name}_total${labels} ${value}`),
    });
    return {
      add: (labels, amount = 1) => {
        const key = labelsText(labels);
        values.set(key, (values.get(key) ?? 0) + amount);
      },
    };
  }

  /**
   * @param name ends with `_seconds`
   * @param boundsMs the upper bounds of the buckets, rising; one without a bound is added
   */
  histogram<Label extends string = never>(
    name: string,
    { help, boundsMs }: { help: string; boundsMs: readonly number[] },
  ): Histogram<Label> {
    const all = new Map<string, { labels: Labels; distribution: Distribution }>();
    this.#families.push({
      ...{ name, help, type: 'histogram' },
      samples: () => [...all.values()].flatMap((one) => histogramLines(name, { ...one, boundsMs })),
    });
    return {
      observeMs: (labels, ms) => {
        const key = labelsText(labels);
        const counts = boundsMs.map(() => 0).concat(0);
        const { distribution } = all.get(key) ?? { distribution: { counts, sumMs: 0, createdMs: Date.now() } };
        all.set(key, { labels, distribution });
        const found = boundsMs.findIndex((bound) => ms <= bound);
        const bucket = found < 0 ? boundsMs.length : found;
        distribution.counts[bucket] = (distribution.counts[bucket] ?? 0) + 1;
        distribution.sumMs += ms;
      },
    };
  }

  /** A figure that is looked up when it is asked for. */
  gauge(name: string, { help, read }: { help: string; read: () => readonly { labels?: Labels; value: number }[] }) {
    const samples = () => read().map(({ labels = {}, value }) => `${name}${labelsText(labels)} ${value}`);
    this.#families.push({ name, help, type: 'gauge', samples });
  }

  /** Facts that stay as they are. @param name without `_info`, which its sample ends with */
  info(name: string, { help, labels }: { help: string; labels: Labels }): void {
    this.#families.push({ name, help, type: 'info', samples: () => [`${name}_info${labelsText(labels)} 1`] });
  }

  /** All figures, as `OPENMETRICS_TYPE`. */
  expose(): string {
    const lines = this.#families.flatMap(({ name, type, help, samples }) => [
      `# TYPE ${name} ${type}`,
      ...(name.endsWith('_seconds') ? [`# UNIT ${name} seconds`] : []),
      `# HELP ${name} ${escaped(help)}`,
      ...samples(),
    ]);
    return `${lines.join('\n')}\n# EOF\n`;
  }
}

interface Histogrammed {
  labels: Labels;
  distribution: Distribution;
  boundsMs: readonly number[];
}

/** Buckets count all that is not longer than their bound: each has those before it in it. */
function histogramLines(name: string, { labels, distribution, boundsMs }: Histogrammed): string[] {
  const { counts, sumMs, createdMs } = distribution;
  let below = 0;
  const buckets = counts.map((count, index) => {
    below += count;
    const bound = boundsMs[index];
    const le = bound === undefined ? '+Inf' : decimal(bound / 1000);
    return `${name}_bucket${labelsText({ ...labels, le })} ${below}`;
  });
  const own = labelsText(labels);
  return [
    ...buckets,
    `${name}_count${own} ${below}`,
    `${name}_sum${own} ${sumMs / 1000}`,
    `${name}_created${own} ${createdMs / 1000}`,
  ];
}

function labelsText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

/** Bounds are floating point numbers there, so a whole one has a point too. */
function decimal(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
