// What the applications answer: each value that they read, one a line, as the kind of the value and base64.
'use strict';
const JSON5 = require('json5');
const { XMLParser } = require('fast-xml-parser');

function* texts(node) {
  if (typeof node === 'string') yield node;
  else if (Buffer.isBuffer(node)) yield node;
  else if (node && typeof node === 'object') for (const value of Object.values(node)) yield* texts(value);
}

const line = (kind, value) => `${kind} ${Buffer.from(value).toString('base64')}\n`;
const lines = (kind, node) => [...texts(node)].map((value) => line(kind, value)).join('');

/// What `read` returns, or nothing if the framework refuses the request.
function attempt(read) {
  try { return read(); } catch { return ''; }
}

/// The strings of a body that is JSON, and the texts and attributes of one that is XML, whatever is declared.
function documents(body, readJson = JSON.parse) {
  const text = Buffer.isBuffer(body) ? body.toString() : String(body);
  const xml = () => new XMLParser({ ignoreAttributes: false, processEntities: true, htmlEntities: true }).parse(text, true);
  return attempt(() => lines('JSON', readJson(text))) + attempt(() => lines('XML', xml()));
}

const target = (url) => {
  const { pathname, searchParams } = new URL(url, 'http://shop.test');
  return line('path', attempt(() => decodeURIComponent(pathname))) + lines('query', [...searchParams.values()]);
};

module.exports = { line, lines, attempt, documents, target, JSON5 };
