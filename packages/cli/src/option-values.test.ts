import { describe, expect, test } from 'vitest';
import { CliError } from './errors.ts';
import {
  allowList,
  apiHost,
  durationMs,
  header,
  listenAddress,
  programName,
  variable,
  wholeNumber,
} from './option-values.ts';

describe('option values', () => {
  test.each([
    ['127.0.0.1:4020', { host: '127.0.0.1', port: 4020 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ])('listenAddress: reads %s, when it is well-formed', (text, expected) => {
    expect(listenAddress(text)).toEqual(expected);
  });

  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
  ])('durationMs: reads %s, when it has a unit', (text, expected) => {
    expect(durationMs(text)).toBe(expected);
  });

  test('variable, header: collect, when given again', () => {
    expect(variable('B=x=y', variable('A='))).toEqual({ A: '', B: 'x=y' });
    expect(header('b:2', header('A: 1'))).toEqual([
      ['A', '1'],
      ['b', '2'],
    ]);
  });

  test('allowList: reads words and addresses, when separated by commas', () => {
    expect(allowList('any')).toBe('any');
    expect(allowList('0xA, 0xB')).toEqual(['0xA', '0xB']);
  });

  test('apiHost: collects names in lower case, when given again', () => {
    expect(apiHost('API.example', apiHost('b'))).toEqual(['b', 'api.example']);
  });

  test.each([
    () => listenAddress('4020'),
    () => listenAddress('::1:80'),
    () => listenAddress('h:70000'),
    () => durationMs('5'),
    () => durationMs('0s'),
    () => durationMs('1000h'),
    () => variable('1A=x'),
    () => variable('A'),
    () => header('no colon'),
    () => header('a: b\r\nc: d'),
    () => allowList('0xA,,0xB'),
    () => programName('No_Name'),
    () => apiHost('http://a.example'),
    () => apiHost('a.example:80'),
    () => apiHost(`${'a.'.repeat(130)}b`),
    () => wholeNumber('--memory', { min: 64, max: 100 })('63'),
    () => wholeNumber('--memory', { min: 64, max: 100 })('64.5'),
    () => wholeNumber('--memory', { min: 0, max: 100 })(''),
  ])('option values: are refused with status 2, when malformed (%#)', (read) => {
    expect(read).toThrow(CliError);
    expect(read).toThrow(/^Cannot read (--[\w-]+|the name): found "/);
  });
});
