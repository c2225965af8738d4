import { expect, test } from 'vitest';
import { createLog, type RequestLine } from './log.ts';

const line: RequestLine = {
  id: 'req_1', method: 'POST', path: '/v1/chat/completions', status: 200, ms: 12.345, left: false, who: 'key:me', promptTokens: 3, completionTokens: 4, cachedTokens: 0, error: null,
};
const logged = (format: 'json' | 'text' | 'off', write: (log: ReturnType<typeof createLog>) => void): string => {
  let text = '';
  write(createLog(format, { write: (each) => void (text += each), now: () => new Date(0) }));
  return text;
};

test('one line of JSON a request, one line of text, or none', () => {
  expect(JSON.parse(logged('json', (log) => log.request(line)))).toEqual({ time: '1970-01-01T00:00:00.000Z', level: 'info', event: 'request', ...line, ms: 12.3 });
  expect(logged('text', (log) => log.request({ ...line, error: 'x', left: true }))).toBe('1970-01-01T00:00:00.000Z POST /v1/chat/completions 200 12ms 3+4 tokens key:me x left req_1\n');
  expect(logged('off', (log) => log.request(line))).toBe('');
});

test('a path cannot forge a line or fill the log, and faults are told in every format', () => {
  const path = `/v1/\n2026 GET /admin 200\u001b[2J${'x'.repeat(5000)}`;
  for (const format of ['json', 'text'] as const) {
    const text = logged(format, (log) => log.request({ ...line, path }));
    expect(text.split('\n')).toHaveLength(2);
    expect(text.length).toBeLessThan(700);
    expect(text).not.toContain('\u001b');
  }
  for (const format of ['json', 'text', 'off'] as const) {
    expect(logged(format, (log) => log.fault({ requestId: 'req_2', path: '/', error: new Error('outer', { cause: new Error('inner') }) }))).toContain('inner');
  }
});
