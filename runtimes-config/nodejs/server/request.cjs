// The request that a function sees as `event.extensions.request`: Node's own, with what Express adds to it.
//
// Kubeless handed out Express 4's: https://expressjs.com/en/4x/api.html#req. Here are `path`, `query`, `params` (`{0: path}`),
// `originalUrl`, `baseUrl`, `body`, `get`/`header`, `is`, `accepts`, `hostname`, `protocol`, `secure`, `ip`, `ips`, `xhr`
// and `res`. As Kubeless had it, `body` is a Buffer, or `{}` where there is no body or it is multipart; the latter is left
// to be read, by such as multer. Other than in Express 4, `query` knows no nesting: `a[b]=c` is a value named `a[b]`.
'use strict';

const { IncomingMessage } = require('node:http');
const { parse } = require('node:querystring');

const { lookup } = require('./response.cjs');

class Request extends IncomingMessage {
    /** Sets what Express keeps as plain properties: functions and middleware may set them anew. */
    prepare(response) {
        this.res = response;
        this.originalUrl = this.url;
        this.baseUrl = '';
        this.body = {};
        this._body = true; // So body-parser knows that it comes too late.
        this.query = parse(target(this.url).query);
        this.params = { 0: this.path };
    }

    get path() {
        return target(this.url).path;
    }

    get hostname() {
        return this.headers.host?.replace(/:\d*$/, '');
    }

    get protocol() {
        return 'http';
    }

    get secure() {
        return false;
    }

    get ip() {
        return this.socket.remoteAddress;
    }

    get ips() {
        return [];
    }

    get xhr() {
        return this.get('X-Requested-With')?.toLowerCase() === 'xmlhttprequest';
    }

    get hasBody() {
        return this.headers['transfer-encoding'] !== undefined || this.headers['content-length'] !== undefined;
    }

    get(name) {
        const key = name.toLowerCase();
        if (key === 'referer' || key === 'referrer') return this.headers.referrer ?? this.headers.referer;
        return this.headers[key];
    }

    header(name) {
        return this.get(name);
    }

    /** The first of the types that the body has; null without a body. */
    is(...types) {
        if (!this.hasBody) return null;
        const kind = (this.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
        if (!/^[^\s/]+\/[^\s/]+$/.test(kind)) return false;
        const wanted = types.flat();
        if (!wanted.length) return kind;
        const found = wanted.find((type) => pattern(type).test(kind));
        return found === undefined ? false : /^\+|\*/.test(found) ? kind : found;
    }

    /** The type that the client likes best; without types, all that it accepts, best first. */
    accepts(...types) {
        const ranges = (this.headers.accept ?? '*/*').split(',').map((text, order) => {
            const [type, ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
            const quality = parameters.find((parameter) => parameter.startsWith('q='));
            return { type, order, q: quality ? Number(quality.slice(2)) || 0 : 1, rank: 2 - type.split('*').length };
        });
        const best = (one, other) => other.q - one.q || other.rank - one.rank || one.order - other.order;
        if (!types.length) return ranges.filter(({ q }) => q > 0).sort(best).map(({ type }) => type);
        const liked = types.flat().flatMap((type) => {
            const matching = ranges.filter((range) => pattern(range.type).test(lookup(type)));
            return matching.sort((one, other) => other.rank - one.rank).slice(0, 1).map((range) => ({ ...range, wanted: type }));
        });
        return liked.filter(({ q }) => q > 0).sort(best)[0]?.wanted ?? false;
    }
}

/** Path and query of what was asked for; of `http://host/path`, as proxies write it, the path counts. */
function target(url) {
    const [, path, query] = /^(?:https?:\/\/[^/?]*)?([^?]*)\??([^]*)$/i.exec(url);
    return { path: path || '/', query };
}

/** Matches the media types that `json`, `text/html`, `multipart/*`, `+json` stand for. */
function pattern(type) {
    const full = { urlencoded: 'application/x-www-form-urlencoded', multipart: 'multipart/*' }[type] ?? lookup(type);
    const escaped = full.replace(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '[^/]+');
    return new RegExp(type.startsWith('+') ? `^[^/]+/[^/]+${escaped}$` : `^${escaped}$`, 'i');
}

module.exports = { Request };
