import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { run } from '@vmlet/host';
import { buildMessage } from '@vmlet/messages';
import { makeTestHome, type NodeProcess } from '../../tests/framework/node-process.ts';
import type { PartOptions, PartResult } from '../part.ts';
import { rowOf } from '../stats.ts';

const MIB = 1024 * 1024;
const FILE_MIB = 500;
/** How the network names these bytes: they are the same each time. */
const FILE_CID = 'QmZPmFnEP1UKRgqHeS7ZN9htUe9rssze81iYhCE1AmQ5hs';
const BOUNDARY = 'vmlet-bench-boundary';
/** Of this process's memory, Linux's peak counter is set back to what it has now (proc(5), clear_refs). */
const RESET_PEAK = '5';

interface Samples {
  limit: number[];
  upload: number[];
  uploadIpfs: number[];
  download: number[];
  uploadGrowth: number[];
  downloadGrowth: number[];
}

/**
 * A file of 500 MB through a node in a process of its own, over HTTP, in MB/s; and beside it, in turn, what the host does
 * with the same bytes without any node: `tee FILE | sha256sum`. Growth is how far the node's memory rose meanwhile, in MB.
 */
export async function benchFiles({ runs, tell }: PartOptions): Promise<Pick<PartResult, 'rows' | 'ratios'>> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'vmlet-bench-'));
  await using home = await makeTestHome();
  const source = join(folder.path, 'source');
  const fileHash = await makeFile(source);
  const node = await home.start();
  const bench = {
    url: node.url,
    pid: node.child.pid ?? 0,
    source,
    fileHash,
    copy: join(folder.path, 'copy'),
    node,
  };
  const samples: Samples = {
    limit: [],
    upload: [],
    uploadIpfs: [],
    download: [],
    uploadGrowth: [],
    downloadGrowth: [],
  };
  for (let index = 0; index < runs; index++) {
    tell(`files ${index + 1} of ${runs}`);
    await round(bench, samples);
  }
  const rate = (name: string, values: number[]) => rowOf(name, 'MB/s', values);
  const median = (values: number[]) => rowOf('', '', values).p50;
  return {
    rows: [
      rate('file-tee-sha256sum', samples.limit),
      rate('file-upload', samples.upload),
      rate('file-upload-ipfs', samples.uploadIpfs),
      rate('file-download', samples.download),
      rowOf('file-upload-growth-mb', 'MB', samples.uploadGrowth),
      rowOf('file-download-growth-mb', 'MB', samples.downloadGrowth),
    ],
    ratios: {
      'file-upload/file-tee-sha256sum': median(samples.upload) / median(samples.limit),
      'file-upload-ipfs/file-tee-sha256sum': median(samples.uploadIpfs) / median(samples.limit),
      'file-download/file-tee-sha256sum': median(samples.download) / median(samples.limit),
    },
  };
}

interface Bench {
  url: string;
  pid: number;
  source: string;
  fileHash: string;
  copy: string;
  node: NodeProcess;
}

async function round(bench: Bench, samples: Samples): Promise<void> {
  samples.limit.push(await rateOf(() => run('sh', ['-c', `tee ${bench.copy} < ${bench.source} | sha256sum`])));
  await rm(bench.copy);
  const uploading = await grownBy(bench.pid, async () => {
    samples.upload.push(await rateOf(() => upload(bench, 'storage')));
  });
  samples.uploadGrowth.push(uploading);
  samples.uploadIpfs.push(await rateOf(() => upload(bench, 'ipfs')));
  const downloading = await grownBy(bench.pid, async () => {
    samples.download.push(await rateOf(() => download(bench)));
  });
  samples.downloadGrowth.push(downloading);
}

/** In MB a second. */
async function rateOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (FILE_MIB * MIB) / 1e6 / ((performance.now() - started) / 1000);
}

/** How far a process's memory rose above what it had before, in MB. */
async function grownBy(pid: number, work: () => Promise<void>): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, RESET_PEAK);
  const before = await memoryOf(pid, 'VmRSS');
  await work();
  return (await memoryOf(pid, 'VmHWM')) - before;
}

async function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
}

/** Bytes that no file system makes less of, the same each time. */
async function makeFile(path: string): Promise<string> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(MIB);
  await pipeline(async function* () {
    for (let index = 0; index < FILE_MIB; index++) {
      const chunk = cipher.update(zeros);
      hash.update(chunk);
      yield chunk;
    }
  }, createWriteStream(path));
  return hash.digest('hex');
}

/** Sends the file with the signed message that names it, as the network's clients send files. */
async function upload({ url, source, fileHash, node }: Bench, engine: 'storage' | 'ipfs'): Promise<void> {
  const content = { item_type: engine, item_hash: engine === 'ipfs' ? FILE_CID : fileHash };
  const message = await buildMessage({ signer: node.signer, type: 'STORE', content, now: new Date() });
  const part = (form: string) => `--${BOUNDARY}\r\nContent-Disposition: form-data; ${form}\r\n\r\n`;
  const metadata = JSON.stringify({ message, sync: true });
  const head = `${part('name="metadata"')}${metadata}\r\n${part('name="file"; filename="blob"')}`;
  const tail = `\r\n--${BOUNDARY}--\r\n`;
  const headers = {
    'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
    'content-length': head.length + FILE_MIB * MIB + tail.length,
  };
  const sending = request(`${url}/api/v0/${engine}/add_file`, { method: 'POST', headers, agent: false });
  const answered = once(sending, 'response');
  await pipeline(async function* () {
    yield Buffer.from(head);
    yield* createReadStream(source, { highWaterMark: MIB });
    yield Buffer.from(tail);
  }, sending);
  const [response] = (await answered) as [IncomingMessage];
  const body = await json(response);
  if (response.statusCode !== 200) throw new Error(`Cannot upload: ${response.statusCode} ${JSON.stringify(body)}`);
}

async function download({ url, fileHash }: Bench): Promise<void> {
  const asking = request(`${url}/api/v0/storage/raw/${fileHash}`, { agent: false }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let takenBytes = 0;
  for await (const chunk of response) takenBytes += (chunk as Buffer).length;
  if (takenBytes !== FILE_MIB * MIB) throw new Error(`Cannot download: ${response.statusCode}, ${takenBytes} bytes`);
}
