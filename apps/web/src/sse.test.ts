import { expect, test } from 'vitest';
import { SseParser } from './sse.ts';

const STREAM = ': ping\n\nid: 0\ndata: {"a":1}\n\nid: 1\r\ndata: one\r\ndata: two\r\n\r\nid:2\ndata:中文\n\ndata: no id of its own\n\nevent: x\n\n';
const EXPECTED = [{ id: '0', data: '{"a":1}' }, { id: '1', data: 'one\ntwo' }, { id: '2', data: '中文' }, { id: '2', data: 'no id of its own' }];

test('events are the same however the stream is cut', () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    expect(events).toEqual(EXPECTED);
  }
});

test('half an event is none', () => {
  expect(new SseParser().push('id: 1\ndata: x\n')).toEqual([]);
});
