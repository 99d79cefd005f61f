// Applications on frameworks of Node.js. Arguments: framework, port.
'use strict';
const http = require('node:http');
const { line, lines, attempt, documents, target, JSON5 } = require('./answer');

const whole = (stream) => new Promise((done) => {
  const parts = [];
  stream.on('data', (part) => parts.push(part)).on('end', () => done(Buffer.concat(parts))).on('error', () => done(Buffer.alloc(0)));
});

/// An application without a framework: `read` gives fields and file names of a request.
function plain(port, read) {
  http.createServer(async (request, response) => {
    let out = target(request.url);
    try { out += await read(request); } catch { /* A framework answers 400 here. */ }
    response.end(out);
  }).listen(port, '127.0.0.1');
}

/// Calls `then` when a request has ended and its reader has had time: some readers wait for ever for an end of their own.
const finished = (request, then) => request.on('end', () => setTimeout(then, 30));

const FRAMEWORKS = {
  express(port) {
    const express = require('express'), multer = require('multer'), cookies = require('cookie-parser');
    const app = express();
    app.set('query parser', 'extended');
    const every = (request, response) => {
      const body = request.body;
      let out = target(request.url) + lines('query', request.query) + lines('cookie', request.cookies);
      out += Buffer.isBuffer(body) ? documents(body) : lines('field', body);
      for (const file of request.files ?? []) out += line('file name', file.originalname);
      response.type('text/plain').send(out);
    };
    const answerErrors = (error, request, response, next) => response.status(400).type('text/plain').send(target(request.url));
    app.use(cookies(), multer().any(), express.urlencoded({ extended: true }), express.json({ type: ['application/json', 'text/json', 'application/*+json', 'application/csp-report'] }), express.text({ type: 'text/*' }), express.raw({ type: '*/*' }));
    app.use((request, response, next) => {
      if (typeof request.body === 'string') request.body = Buffer.from(request.body);
      next();
    }, every, answerErrors);
    app.listen(port, '127.0.0.1');
  },

  busboy(port) {
    const busboy = require('busboy');
    plain(port, (request) => new Promise((done, failed) => {
      let out = '';
      const reader = busboy({ headers: request.headers, defParamCharset: 'utf8' });
      reader.on('field', (name, value) => { out += line('field', value); });
      reader.on('file', (name, stream, info) => {
        if (info.filename) out += line('file name', info.filename);
        stream.resume();
      });
      reader.on('close', () => done(out)).on('error', () => done(out));
      finished(request, () => done(out));
      request.pipe(reader);
    }));
  },

  formidable(port) {
    const { formidable } = require('formidable');
    plain(port, async (request) => {
      const [fields, files] = await formidable({ uploadDir: '/tmp', allowEmptyFiles: true, minFileSize: 0 }).parse(request);
      return lines('field', fields) + lines('file name', Object.values(files).flat().map((file) => file.originalFilename ?? ''));
    });
  },

  multiparty(port) {
    const multiparty = require('multiparty');
    plain(port, (request) => new Promise((done) => {
      let out = '';
      const form = new multiparty.Form();
      form.on('field', (name, value) => { out += line('field', value); });
      form.on('part', (part) => {
        if (part.filename) out += line('file name', part.filename);
        part.on('error', () => {});
        part.resume();
      });
      form.on('close', () => done(out)).on('error', () => done(out));
      finished(request, () => done(out));
      form.parse(request);
    }));
  },

  /// The form data of the platform itself, as route handlers of full-stack frameworks read it.
  fetch(port) {
    plain(port, async (request) => {
      const body = await whole(request);
      let out = documents(body);
      try {
        const form = await new Request('http://shop.test/', { method: 'POST', headers: request.headers['content-type'] ? { 'content-type': request.headers['content-type'] } : {}, body }).formData();
        for (const value of form.values()) out += typeof value === 'string' ? line('field', value) : line('file name', value.name);
      } catch { /* As above. */ }
      return out;
    });
  },

  /// A lenient JSON parser before everything.
  json5(port) {
    plain(port, async (request) => documents(await whole(request), JSON5.parse));
  },

  async fastify(port) {
    const app = require('fastify')();
    await app.register(require('@fastify/cookie'));
    await app.register(require('@fastify/formbody'));
    await app.register(require('@fastify/multipart'), { attachFieldsToBody: false });
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
    app.route({
      method: ['GET', 'POST', 'PUT'], url: '/*', handler: async (request, reply) => {
        let out = target(request.url) + lines('cookie', request.cookies);
        try {
          if (request.isMultipart()) {
            for await (const part of request.parts()) {
              out += part.type === 'file' ? line('file name', part.filename) : lines('field', [part.value]);
              if (part.type === 'file') await part.toBuffer();
            }
          } else out += Buffer.isBuffer(request.body) ? documents(request.body) : lines('field', request.body);
        } catch { /* As above. */ }
        return reply.type('text/plain').send(out);
      },
    });
    app.setErrorHandler((error, request, reply) => reply.code(400).type('text/plain').send(target(request.url)));
    await app.listen({ port, host: '127.0.0.1' });
  },

  koa(port) {
    const Koa = require('koa');
    const { koaBody } = require('koa-body');
    const app = new Koa();
    app.silent = true;
    app.use(async (context, next) => {
      let out = target(context.url);
      try {
        await next();
        const { body, files } = context.request;
        out += typeof body === 'string' ? documents(body) : lines('field', body);
        for (const file of Object.values(files ?? {}).flat()) out += line('file name', file.originalFilename ?? '');
      } catch { /* As above. */ }
      context.status = 200;
      context.body = out;
    });
    app.use(koaBody({ multipart: true, jsonStrict: false, formidable: { uploadDir: '/tmp', allowEmptyFiles: true, minFileSize: 0 } }));
    app.listen(port, '127.0.0.1');
  },

  async hapi(port) {
    const server = require('@hapi/hapi').server({ port, host: '127.0.0.1', state: { ignoreErrors: true } });
    const handler = (request, h) => {
      const body = request.payload;
      let out = target(request.url.href) + lines('cookie', request.state);
      for (const value of Buffer.isBuffer(body) ? [] : Object.values(body ?? {}).flat()) {
        out += value?.hapi?.filename ? line('file name', value.hapi.filename) : value?.filename ? line('file name', value.filename) : lines('field', value);
      }
      return h.response(out + (Buffer.isBuffer(body) ? documents(body) : '')).type('text/plain');
    };
    const payload = { multipart: { output: 'annotated' }, maxBytes: 1 << 22, failAction: 'ignore' };
    server.route({ method: 'GET', path: '/{path*}', handler });
    server.route({ method: ['POST', 'PUT'], path: '/{path*}', handler, options: { payload } });
    await server.start();
  },

  async hono(port) {
    const { Hono } = require('hono');
    const { serve } = require('@hono/node-server');
    const { getCookie } = require('hono/cookie');
    const app = new Hono();
    app.all('*', async (context) => {
      let out = target(context.req.url) + attempt(() => lines('query', context.req.queries()) + lines('cookie', getCookie(context)));
      try {
        const form = await context.req.parseBody({ all: true });
        for (const value of Object.values(form).flat()) out += typeof value === 'string' ? line('field', value) : line('file name', value.name);
      } catch { /* As above. */ }
      try { out += lines('JSON', await context.req.json()); } catch { /* As above. */ }
      return context.text(out);
    });
    serve({ fetch: app.fetch, port, hostname: '127.0.0.1' });
  },
};

process.on('uncaughtException', () => {});
process.on('unhandledRejection', () => {});
FRAMEWORKS[process.argv[2]](Number(process.argv[3]));
