// Serves one JavaScript function over HTTP/1.1, with Node's standard library alone.
//
//     node kubeless.cjs --root DIR --file pkg/hello.js --function NAME
//
// `GET /healthz` answers OK; every other request calls `NAME(event, context)` of the CommonJS or ES module, many at a time.
// SIGTERM and SIGINT stop accepting, let running requests end, and exit with 0.
// Reads FUNC_PORT, FUNC_TIMEOUT, FUNC_RUNTIME and FUNC_MEMORY_LIMIT.
//
// `event.data` is as Kubeless had it: what JSON says if the request is `application/json`, else a string; an empty Buffer
// for an empty body, and `{}` where there is none or it is multipart, which is left to be read from the request.
//
// What the function returns, or promises, is sent: a string (as HTML, unless the function set another type), bytes, a
// stream or other async iterable piece by piece, `undefined` as nothing, and all else as JSON. Kubeless sent bytes as JSON,
// and a string without a type. A function may answer by `event.extensions.response` itself: what it returns is not sent
// after `end`, nor while a stream is piped in; a response that it began and left open ends with the string or bytes returned.
//
// What the function throws is a 500 and a log line. So is what is thrown in a callback, or rejected with nobody listening:
// the request that it came from is known by its asynchronous context. Where that is lost, only the log tells. The server
// lives on, since to end all running requests for one that failed would be worse than a state that is in doubt.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const { STATUS_CODES, createServer } = require('node:http');
const path = require('node:path');
const { Readable } = require('node:stream');
const { pathToFileURL } = require('node:url');
const util = require('node:util');
const zlib = require('node:zlib');

const { Request } = require('./request.cjs');
const { Response } = require('./response.cjs');

const IDLE = 75_000; // Milliseconds after which a silent connection is given up; ingresses keep theirs for 60 seconds.
const GRACE = 5_000; // Milliseconds that the function's timers and connections have to end after the last request.
const LINGER = 1_000; // Milliseconds for which what a refused client still sends is read.
const HEADERS = 64 << 10; // The most bytes of a request's line and headers.
const DECODERS = { gzip: zlib.gunzip, deflate: zlib.inflate, br: zlib.brotliDecompress };

const requests = new AsyncLocalStorage();
let stage = 'loading'; // then 'serving', then 'stopping'

/** Loads the function, and serves it. */
async function main() {
    const text = { type: 'string' };
    const { values: options } = util.parseArgs({ options: { root: text, file: text, function: text } });
    const port = setting('FUNC_PORT', '8080');
    const timeout = setting('FUNC_TIMEOUT', '180');
    const label = options.file.replace(/\.[cm]?js$/, '').replaceAll('/', '.');
    for (const signal of ['SIGTERM', 'SIGINT']) {
        process.once(signal, () => (stage === 'serving' ? stop() : end(0))); // A second one does not wait.
    }
    process.on('exit', (code) => ended(code, `${label} (${options.file})`));
    process.on('uncaughtException', stray);
    process.on('unhandledRejection', stray);
    const func = await load(path.resolve(options.root, options.file), options.function, `${label} (${options.file})`);
    const context = {
        'function-name': options.function,
        timeout,
        runtime: process.env.FUNC_RUNTIME,
        'memory-limit': process.env.FUNC_MEMORY_LIMIT,
    };
    server.on('request', (request, response) => {
        request.prepare(response);
        requests.run({ request, response }, serve, func, context, request, response);
    });
    server.once('error', (error) => cannotListen(port, error));
    try {
        server.listen({ port, backlog: 1024 }, () => {
            stage = 'serving';
            log(`listening on :${server.address().port} (${label}.${options.function}, Node.js ${process.versions.node})`);
        });
    } catch (error) { // A number that no port has.
        cannotListen(port, error);
    }
}

function setting(name, fallback) {
    const value = process.env[name] || fallback;
    if (Number.isNaN(Number(value))) refuse(`error: ${name} is '${value}', which is not a number`);
    return Number(value);
}

function cannotListen(port, error) {
    const [, reason = error.message] = util.getSystemErrorMap().get(error.errno) ?? [];
    refuse(`error: cannot listen on FUNC_PORT ${port}: ${reason}`);
}

function refuse(line) {
    log(line);
    end(1);
}

/** Ends the process, by our own will. */
function end(status) {
    stage = 'stopping';
    process.exit(status);
}

/** Tells of an end that the function brought about. */
function ended(status, file) {
    if (stage === 'serving') log(`error: the function ended the process with status ${status}`);
    if (stage !== 'loading') return;
    log(`error: cannot load ${file}: it ends the process, or awaits at its top level what never comes`);
    process.exitCode = status || 1;
}

// The function

/** The function; what keeps it from being loaded ends the server, after one line that names the file. */
async function load(file, name, label) {
    let exported;
    try {
        exported = await import(pathToFileURL(file));
    } catch (error) {
        refuse(`error: cannot load ${label}: ${words(error)}\n${story(error)}`);
    }
    // Of a CommonJS module, what it exports itself, of which `import` makes a copy.
    exported = require.cache[fs.realpathSync(file)]?.exports ?? exported;
    // As in Kubeless, a function that is the whole module counts whatever the handler's name.
    const places = [exported, exported?.default];
    for (const place of places) {
        if (typeof place === 'function') return place;
        if (typeof place?.[name] === 'function') return place[name];
    }
    if (places.some((place) => place?.[name] !== undefined)) refuse(`error: ${label} exports ${name}, but not as a function`);
    const names = places.flatMap((place) => Object.keys(place ?? {}).filter((key) => typeof place[key] === 'function'));
    return refuse(`error: ${label} exports no ${name}; it exports ${names.join(', ') || 'no function'}`);
}

/** The error's kind and the first line of its message. */
function words(error) {
    try {
        if (typeof error?.stack !== 'string') return `${util.inspect(error)} was thrown`.replaceAll('\n', ' ');
        return `${error.name}: ${error.message}`.split('\n', 1)[0];
    } catch {
        return 'Error: (no message)';
    }
}

/** The stack, and those of its causes, without what is not the author's. */
function story(error) {
    const foreign = (line) => /^ +at .*node:internal\//.test(line) || line.includes(`${__dirname}/`);
    const stacks = [];
    try {
        for (let at = error; typeof at?.stack === 'string' && stacks.length < 5; at = at.cause) {
            stacks.push(at.stack.split('\n').filter((line) => !foreign(line)).join('\n'));
        }
    } catch { // A getter that throws.
    }
    return stacks.join('\ncaused by: ');
}

// Requests

/** A request that is not passed on: its status, and why. */
class Refused extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

async function serve(func, context, request, response) {
    if (request.path === '/healthz' && /^(?:GET|HEAD)$/.test(request.method)) {
        response.type('txt').send('OK');
        return;
    }
    response.on('error', (error) => { // Other errors mean that the client has gone.
        if (error.code === 'ERR_STREAM_WRITE_AFTER_END') fail(request, response, error);
    });
    try {
        const event = await eventOf(request, response);
        await answer(response, await func(event, { ...context }));
    } catch (error) {
        if (error instanceof Refused) response.status(error.status).type('txt').send(`${error.message}\n`);
        else if (!request.errored) fail(request, response, error);
    }
    // A client that does not fetch its answer.
    if (response.writableEnded && !response.writableFinished) request.socket.setTimeout(IDLE);
}

async function eventOf(request, response) {
    const event = Object.fromEntries(['id', 'type', 'time', 'namespace'].map((name) => [`event-${name}`, request.get(`event-${name}`)]));
    event.extensions = { request, response };
    if (request.hasBody && !request.is('multipart/*')) request.body = await read(request);
    event.data = request.body;
    if (!(request.body.length > 0)) return event;
    try {
        event.data = request.body.toString();
    } catch (error) {
        throw new Refused(413, `the body is too long: ${error.message}`);
    }
    if (!request.is('application/json')) return event;
    try {
        event.data = JSON.parse(event.data);
    } catch (error) {
        throw new Refused(400, `the body is not JSON: ${error.message}`);
    }
    return event;
}

/** The whole body, unpacked. */
async function read(request) {
    const encoding = (request.get('Content-Encoding') ?? 'identity').toLowerCase();
    if (encoding !== 'identity' && !Object.hasOwn(DECODERS, encoding)) {
        throw new Refused(415, `the body's Content-Encoding is ${encoding}, not gzip, deflate or br`);
    }
    const pieces = [];
    request.socket.setTimeout(IDLE);
    for await (const piece of request) pieces.push(piece);
    request.socket.setTimeout(0);
    const body = Buffer.concat(pieces);
    if (encoding === 'identity' || !body.length) return body;
    try {
        return await util.promisify(DECODERS[encoding])(body);
    } catch (error) {
        throw new Refused(400, `the body is not ${encoding}: ${error.message}`);
    }
}

/** Sends what the function returned, unless it has answered itself. */
async function answer(response, result) {
    if (response.writableEnded || response.sources.size) return;
    const bytes = util.types.isUint8Array(result);
    const text = typeof result === 'string';
    if (!bytes && result !== response && isStream(result)) {
        await stream(response, result);
    } else if (response.headersSent || result === undefined || result === response) {
        response.end(bytes || text ? result : undefined);
    } else if (bytes || text) {
        if (!response.get('Content-Type')) response.type(text ? 'html' : 'bin');
        response.finish(result);
    } else {
        response.json(result);
    }
}

function isStream(result) {
    const old = typeof result?.pipe === 'function' && typeof result.on === 'function'; // Not an observable.
    return old || typeof result?.[Symbol.asyncIterator] === 'function';
}

/** Sends piece by piece; until the first has come, a failure is still a 500. */
async function stream(response, source) {
    const pieces = source[Symbol.asyncIterator] ? source : new Readable().wrap(source);
    response.once('close', () => pieces.destroy?.());
    if (!response.headersSent && !response.get('Content-Type')) response.type('bin');
    try {
        for await (const piece of pieces) {
            if (response.destroyed || response.req.method === 'HEAD') break;
            if (!response.write(piece) && !response.destroyed) await drained(response);
        }
    } catch (error) {
        if (!response.destroyed) throw error; // Else the client has gone, and the stream was told so.
    }
    response.end();
}

function drained(response) {
    return new Promise((resolve) => {
        const done = () => {
            response.off('drain', done).off('close', done);
            resolve();
        };
        response.on('drain', done).on('close', done);
    });
}

/** Logs the error, and answers 500; an answer that is half sent is left without its end, so that the client knows. */
function fail(request, response, error) {
    log(`error: ${request.method} ${request.path}: ${words(error)}\n${story(error)}`);
    for (const source of response.sources) source.unpipe(response);
    if (response.writableEnded) return;
    if (response.headersSent) {
        response.destroy();
        return;
    }
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    response.status(500).type('txt').send('Internal Server Error\n');
}

/** What was thrown where nobody catches it. */
function stray(error) {
    const known = requests.getStore();
    if (known) fail(known.request, known.response, error);
    else log(`error: outside of a request: ${words(error)}\n${story(error)}`);
}

// The server

/** Each connection, and its responses that are not finished. */
const connections = new Map();

const server = createServer({
    IncomingMessage: Request,
    ServerResponse: Response,
    keepAliveTimeout: IDLE,
    headersTimeout: IDLE,
    requestTimeout: 0, // A slow client is not a dead one.
    requireHostHeader: false, // Node 18 has no such rule.
    maxHeaderSize: HEADERS,
});

server.on('connection', (socket) => {
    connections.set(socket, new Set());
    socket.once('close', () => connections.delete(socket));
});

server.on('request', ({ socket }, response) => {
    const running = connections.get(socket);
    running.add(response);
    response.isLast = () => stage === 'stopping' && running.size === 1;
    response.once('close', () => {
        running.delete(response);
        if (stage === 'stopping' && running.size === 0) socket.destroySoon();
    });
});

/** Refuses what is not HTTP, and reads on for a while: to close at once would reset the connection, and lose the answer. */
server.on('clientError', (error, socket) => {
    const begun = [...connections.get(socket) ?? []].some((response) => response.headersSent);
    if (begun || error.code === 'ECONNRESET') socket.destroy();
    if (!socket.writable) return; // Refused already.
    const status = { HPE_HEADER_OVERFLOW: 431, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code] ?? 400;
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    setTimeout(() => socket.destroy(), LINGER).unref();
});

function stop() {
    stage = 'stopping';
    server.close(() => setTimeout(end, GRACE, 0).unref());
    setTimeout(() => { // The requests that are on the wire come first.
        for (const [socket, running] of connections) if (running.size === 0) socket.destroySoon();
    }, 100);
}

/** One write, so that the lines of parallel requests do not mix. */
function log(text) {
    process.stderr.write(text.endsWith('\n') ? text : `${text}\n`);
}

main();
