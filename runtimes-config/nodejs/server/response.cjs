// The response that a function sees as `event.extensions.response`: Node's own, with what Express adds to it.
//
// Kubeless handed out Express 4's: https://expressjs.com/en/4x/api.html#res. Here are `status`, `sendStatus`, `send`, `json`,
// `set`/`header`, `get`, `append`, `type`/`contentType`, `vary`, `location`, `redirect`, `cookie`, `clearCookie` and `locals`.
// There are no views, no files (`sendFile`; pipe a stream instead), no signed cookies, and no ETag.
'use strict';

const { ServerResponse, STATUS_CODES } = require('node:http');
const { isUint8Array } = require('node:util/types');

const TYPES = {
    bin: 'application/octet-stream',
    css: 'text/css',
    csv: 'text/csv',
    gif: 'image/gif',
    htm: 'text/html',
    html: 'text/html',
    ico: 'image/x-icon',
    jpeg: 'image/jpeg',
    jpg: 'image/jpeg',
    js: 'application/javascript',
    json: 'application/json',
    md: 'text/markdown',
    mjs: 'application/javascript',
    mp3: 'audio/mpeg',
    mp4: 'video/mp4',
    pdf: 'application/pdf',
    png: 'image/png',
    svg: 'image/svg+xml',
    text: 'text/plain',
    txt: 'text/plain',
    wasm: 'application/wasm',
    webp: 'image/webp',
    xml: 'application/xml',
    yaml: 'text/yaml',
    yml: 'text/yaml',
    zip: 'application/zip',
};

class Response extends ServerResponse {
    locals = {};
    /** The streams that are being piped into this response. */
    sources = new Set();

    constructor(...args) {
        super(...args);
        this.on('pipe', (source) => this.sources.add(source));
        this.on('unpipe', (source) => this.sources.delete(source));
    }

    writeHead(...args) {
        if (this.isLast?.()) this.setHeader('Connection', 'close');
        return super.writeHead(...args);
    }

    status(code) {
        this.statusCode = code;
        return this;
    }

    sendStatus(code) {
        return this.status(code).type('txt').send(STATUS_CODES[code] ?? String(code));
    }

    send(body) {
        let data = body ?? '';
        if (typeof body === 'number') { // Express 4 takes it for the status.
            if (!this.get('Content-Type')) this.type('txt');
            this.status(body);
            data = STATUS_CODES[body] ?? String(body);
        }
        if (typeof data === 'string') {
            const type = body === undefined ? null : this.get('Content-Type') ?? 'text/html';
            if (type) this.setHeader('Content-Type', withCharset(type, 'utf-8'));
        } else if (isUint8Array(data)) {
            if (!this.get('Content-Type')) this.type('bin');
        } else {
            return this.json(data);
        }
        return this.finish(data);
    }

    /** Sends this whole body, and no other: text or bytes. */
    finish(data) {
        if (this.statusCode === 204 || this.statusCode === 304) {
            for (const name of ['Content-Type', 'Content-Length', 'Transfer-Encoding']) this.removeHeader(name);
            return this.end();
        }
        this.setHeader('Content-Length', Buffer.byteLength(data)); // For HEAD, too, where Node sends no body.
        return this.end(data);
    }

    json(body) {
        if (!this.get('Content-Type')) this.type('json');
        return this.send(JSON.stringify(body));
    }

    get(name) {
        return this.getHeader(name);
    }

    set(name, value) {
        if (typeof name === 'object') {
            for (const [key, one] of Object.entries(name)) this.set(key, one);
            return this;
        }
        let text = Array.isArray(value) ? value.map(String) : String(value);
        if (name.toLowerCase() === 'content-type' && !/;\s*charset\s*=/.test(text)) {
            if (/^(?:text\/|application\/(?:javascript|json)\b)/.test(text)) text = withCharset(text, 'utf-8');
        }
        this.setHeader(name, text);
        return this;
    }

    header(name, value) {
        return this.set(name, value);
    }

    append(name, value) {
        const before = this.get(name);
        return this.set(name, before === undefined ? value : [before, value].flat());
    }

    type(type) {
        return this.set('Content-Type', lookup(type));
    }

    contentType(type) {
        return this.type(type);
    }

    vary(names) {
        const known = String(this.get('Vary') ?? '').split(/\s*,\s*/).filter(Boolean);
        const has = (name) => known.some((one) => one.toLowerCase() === name.toLowerCase());
        return this.set('Vary', [...known, ...[names].flat().filter((name) => !has(name))].join(', '));
    }

    location(url) {
        const to = url === 'back' ? this.req.get('Referrer') ?? '/' : String(url);
        return this.set('Location', to.replace(/[^\x21-\x7e]+/g, (part) => encodeURI(part)));
    }

    redirect(...args) {
        const [status, url] = args.length === 1 ? [302, args[0]] : typeof args[0] === 'number' ? args : [args[1], args[0]];
        this.status(status).location(url).type('txt');
        return this.send(`${STATUS_CODES[status]}. Redirecting to ${this.get('Location')}`);
    }

    cookie(name, value, options = {}) {
        const { maxAge, expires, domain, path = '/', httpOnly, secure, sameSite } = options;
        const text = typeof value === 'object' ? `j:${JSON.stringify(value)}` : String(value);
        const until = maxAge === undefined ? expires : new Date(Date.now() + maxAge);
        const parts = [`${name}=${encodeURIComponent(text)}`];
        if (maxAge !== undefined) parts.push(`Max-Age=${Math.floor(maxAge / 1000)}`);
        if (domain) parts.push(`Domain=${domain}`);
        parts.push(`Path=${path}`);
        if (until) parts.push(`Expires=${until.toUTCString()}`);
        if (httpOnly) parts.push('HttpOnly');
        if (secure) parts.push('Secure');
        if (sameSite) parts.push(`SameSite=${sameSite === true ? 'Strict' : capitalised(String(sameSite))}`);
        return this.append('Set-Cookie', parts.join('; '));
    }

    clearCookie(name, options) {
        return this.cookie(name, '', { ...options, maxAge: undefined, expires: new Date(1) });
    }
}

/** The media type that a file's extension stands for; what has a slash is one. */
function lookup(type) {
    if (type.includes('/') || type.startsWith('+')) return type;
    return TYPES[type.slice(type.lastIndexOf('.') + 1).toLowerCase()] ?? TYPES.bin;
}

function withCharset(type, charset) {
    return `${String(type).replace(/;\s*charset\s*=\s*("[^"]*"|[^;\s]*)/i, '')}; charset=${charset}`;
}

function capitalised(text) {
    return text[0].toUpperCase() + text.slice(1).toLowerCase();
}

module.exports = { Response, lookup };
