// Says, as JSON, which files do not compile and whether the handler's file exports the function.
//
//     node --no-warnings --experimental-vm-modules check.cjs SOURCE_DIR HANDLER_FILE FUNCTION
//
// Nothing of the author's runs or is loaded: scripts are compiled as functions, and modules are linked to empty ones.
// Exit status: 0 all is well, 1 it is not, 2 this helper failed. Output:
//
//     {"errors": [{"file", "line", "column", "message", "source"}],
//      "handler": {"state": "defined" | "missing" | "unknown" | "unchecked", "names": [{"name", "line"}]}}
//
// `line` and `column` count from 1, in characters, and are null where Node does not know them.
//
// A handler is "missing" only where that is certain; a false alarm would keep a good function from starting:
// - An ES module has the names that V8 finds, none by `export *`, and no default export (which may be the function).
// - A CommonJS module mentions `module` and `exports` only as `exports.NAME`, `module.exports.NAME`,
//   `module.exports = { NAME, … }` with plain names and `Object.defineProperty(exports, 'NAME', …)`, or not at all, and has
//   no `eval`, `arguments` or `with`, and no `this` but in `this.NAME`. Any of these names could be what is exported.
// - Where only a parser could read on (what follows `)`: a division or a regular expression?) nothing is certain.
// One that is declared and not exported is an error with its place, as is `module.exports` in an ES module.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const SOURCE = 400; // Characters that are kept of a faulty line.
const LOCATED = 10; // Each ES module that fails costs a process more to learn its line.
const READABLE = 1 << 20; // Characters of a handler's file that are looked through for its exports.
const WRAPPER = ['exports', 'require', 'module', '__filename', '__dirname'];
// Words of V8 that no CommonJS module can be the cause of, and some that call for another name, not another kind of file.
const ESM = /^Cannot use import statement outside|^Unexpected token 'export'|^Cannot use 'import\.meta' outside/;
const REDECLARED = /has already been declared$/;
const IDENTIFIER = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;

/** Prints the answer: the exit status. */
async function main(root, handler, name) {
    const files = scripts(root).sort();
    if (!files.includes(handler)) files.push(handler);
    const errors = [];
    let found = { state: 'unchecked', names: [] };
    let located = 0;
    for (const file of files) {
        const checked = check(root, file);
        if (checked.error) errors.push(report(file, checked.error, checked.esm && located++ < LOCATED ? checked.text : null));
        else if (file === handler) found = await look(checked, name);
    }
    const { misplaced, ...verdict } = found;
    if (misplaced) {
        errors.push({ file: handler, ...misplaced });
        Object.assign(verdict, { state: 'unchecked', names: [] });
    }
    console.log(JSON.stringify({ errors, handler: verdict }));
    return errors.length || verdict.state === 'missing' ? 1 : 0;
}

/** Paths below `root`, with `/` between their parts. */
function scripts(root, below = '') {
    return fs.readdirSync(path.join(root, below), { withFileTypes: true }).flatMap((entry) => {
        const file = path.posix.join(below, entry.name);
        if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : scripts(root, file);
        return /\.[cm]?js$/.test(file) && isFile(path.join(root, file)) ? [file] : [];
    });
}

function isFile(file) {
    try {
        return fs.statSync(file).isFile();
    } catch { // A link that leads nowhere.
        return false;
    }
}

// Syntax

/** The file's text, whether it is an ES module, and the error that keeps it from being compiled. */
function check(root, file) {
    let text;
    try {
        text = fs.readFileSync(path.join(root, file), 'utf8').replace(/^\ufeff/, '');
    } catch (error) {
        return { error };
    }
    const kind = file.endsWith('.mjs') ? 'module' : file.endsWith('.cjs') ? 'commonjs' : typeOf(root, path.dirname(file));
    if (kind === 'module') return { text, esm: true, error: moduleError(text) };
    const error = commonjsError(text);
    if (!error) return { text };
    const asModule = moduleError(text);
    if (kind !== 'commonjs' && detects()) {
        return !asModule || ESM.test(error.message) ? { text, esm: true, error: asModule } : { text, error };
    }
    if (ESM.test(error.message) || (!asModule && !REDECLARED.test(error.message))) {
        error.advice = `name the file .mjs${file.endsWith('.cjs') ? '' : ', or set "type": "module" in package.json'}`;
    }
    return { text, error };
}

const types = new Map();

/** The `type` of the nearest package.json; whether that is well-formed is not for this check to say. */
function typeOf(root, folder) {
    if (!types.has(folder)) {
        let type;
        try {
            type = JSON.parse(fs.readFileSync(path.join(root, folder, 'package.json'), 'utf8').replace(/^\ufeff/, ''))?.type;
        } catch (error) {
            type = error.code === 'ENOENT' && folder !== '.' ? typeOf(root, path.dirname(folder)) : undefined;
        }
        types.set(folder, type);
    }
    return types.get(folder);
}

/**
 * Whether this Node takes a file of unknown kind for an ES module if it is none of CommonJS: 20.19, 22.7, and from 23 on.
 * What exactly makes it try differs from version to version: https://nodejs.org/api/packages.html#syntax-detection
 */
function detects() {
    const [major, minor] = process.versions.node.split('.').map(Number);
    return major > 22 || (major === 22 && minor >= 7) || (major === 20 && minor >= 19);
}

function commonjsError(text) {
    return caught(() => vm.compileFunction(text, WRAPPER, { filename: 'file' }));
}

function moduleError(text) {
    return caught(() => new vm.SourceTextModule(text));
}

function caught(run) {
    try {
        run();
    } catch (error) { // Nesting that is too deep is a RangeError.
        return error;
    }
    return null;
}

/** The error with its place; that of an ES module's text is asked of another process, as V8's error here does not have it. */
function report(file, error, moduleText) {
    const { name, message, code, advice } = error;
    let words = name === 'SyntaxError' ? message : `${name}: ${message}`;
    if (typeof code === 'string') words = message.replace(/^\w+: |, \w+( '.*)?$/g, ''); // A file that cannot be read.
    if (advice) words += `: ${advice}`;
    const stack = typeof moduleText === 'string' ? moduleStack(moduleText) : error.stack;
    // The caret is missing at the end of the text, and cut off below a long line.
    const [, line, source = '', before, caret] = /^(?:file|\[stdin\]):(\d+)\n([^\n]*)\n([ \t]*)(\^?)/.exec(stack) ?? [];
    const column = caret || before?.length === source.length ? [...source.slice(0, before.length)].length + 1 : null;
    return { file, line: line ? Number(line) : null, column, message: words, source: source.slice(0, SOURCE) };
}

function moduleStack(input) {
    const env = { ...process.env, NODE_OPTIONS: '' };
    return spawnSync(process.execPath, ['--input-type=module', '--check'], { input, env, encoding: 'utf8' }).stderr;
}

// The handler

/** Whether the file exports the name; as far as that is certain. */
async function look({ text, esm }, name) {
    const unknown = { state: 'unknown', names: [] };
    if (text.length > READABLE) return unknown;
    try {
        return await (esm ? moduleHandler : commonjsHandler)(text, name);
    } catch (error) {
        if (error instanceof RangeError) return unknown; // A pattern, or V8, that runs out of stack.
        throw error;
    }
}

/** Whether the ES module exports the name: linked to modules that have every name that it could ask for, it says so. */
async function moduleHandler(text, name) {
    const words = text.match(new RegExp(IDENTIFIER, 'gu')) ?? [];
    const STAR = 'by `export *`';
    const anything = new vm.SyntheticModule([...new Set([...words, 'default', STAR])], () => {});
    const module = new vm.SourceTextModule(text);
    try {
        await module.link(() => anything);
    } catch { // It imports a name that is no identifier.
        return { state: 'unknown', names: [] };
    }
    const exported = Object.getOwnPropertyNames(module.namespace);
    if (exported.includes(STAR)) return { state: 'unknown', names: [] };
    const tokens = tokenize(text);
    const place = (word) => tokens?.find((token, at) => token.text === word && !isProperty(tokens, at))?.at;
    const names = exported.map((word) => ({ name: word, line: place(word) === undefined ? null : located(text, place(word)).line }));
    if (exported.includes(name)) return { state: 'defined', names };
    if (exported.includes('default')) return { state: 'unknown', names };
    const at = tokens?.findIndex((token, index) => isCommonjs(tokens, index)) ?? -1;
    if (at >= 0) {
        const message = `${tokens[at].text} is not defined in an ES module: write export, or name the file .cjs`;
        return { misplaced: { ...located(text, tokens[at].at), message } };
    }
    return absent(text, tokens, name, `export { ${name} }`) ?? { state: 'missing', names };
}

/** Whether the CommonJS module exports the name, as far as its text can say. */
function commonjsHandler(text, name) {
    const tokens = tokenize(text);
    const exported = tokens && commonjsExports(tokens);
    if (!exported) return { state: 'unknown', names: [] };
    const shown = [...exported].filter(([word]) => !word.startsWith('_'));
    const names = shown.map(([word, at]) => ({ name: word, line: located(text, at).line }));
    if (exported.has(name)) return { state: 'defined', names };
    if (exported.has('default') || name in Object.prototype) return { state: 'unknown', names };
    return absent(text, tokens, name, `module.exports.${name} = ${name}`) ?? { state: 'missing', names };
}

/** Where the function is declared, if it is, with what would export it. */
function absent(text, tokens, name, cure) {
    const declared = tokens?.find(({ text: word, depth }, at) => {
        const before = tokens[at - 1]?.text === '*' ? tokens[at - 2] : tokens[at - 1];
        return word === name && depth === 0 && /^(?:function|const|let|var|class)$/.test(before?.text);
    });
    return declared && { misplaced: { ...located(text, declared.at), message: `${name} is not exported: add the line ${cure}` } };
}

/** Line, column and the line itself of a place in the text. */
function located(text, at) {
    const lines = text.slice(0, at).split(/\r\n|[\n\r\u2028\u2029]/);
    const start = at - lines.at(-1).length;
    const source = text.slice(start).split(/[\n\r\u2028\u2029]/, 1)[0];
    return { line: lines.length, column: [...lines.at(-1)].length + 1, source: source.slice(0, SOURCE) };
}

/** The names that may be exported, with their places; null if there may be others. */
function commonjsExports(tokens) {
    const names = new Map();
    const text = (at) => tokens[at]?.text;
    const isWord = (at) => tokens[at]?.kind === 'word';
    for (let at = 0; at < tokens.length; at++) {
        if (!isWord(at)) continue;
        if (isProperty(tokens, at)) {
            if (text(at) === 'exports' && text(at - 2) !== 'module') return null; // `require.cache[…].exports`
            continue;
        }
        if (/^(?:eval|arguments|with)$/.test(text(at))) return null;
        if (!/^(?:this|module|exports)$/.test(text(at))) continue;
        if (text(at) === 'module' && /^===?$/.test(text(at - 1))) continue; // `require.main === module`
        const defined = text(at - 2) === 'defineProperty' && text(at + 1) === ',' && tokens[at + 2]?.kind === 'string';
        if (text(at) === 'exports' && defined) {
            names.set(text(at + 2).slice(1, -1), tokens[at + 2].at);
            continue;
        }
        let end = at;
        if (text(at) === 'module') {
            if (text(at + 1) !== '.' || text(at + 2) !== 'exports') return null;
            end += 2;
        }
        if (text(end + 1) === '.' && isWord(end + 2)) {
            names.set(text(end + 2), tokens[end + 2].at);
        } else if (text(at) === 'this' || text(end + 1) !== '=' || !assigned(tokens, end + 2, names)) {
            return null;
        }
    }
    return names;
}

/** Whether what is assigned is `{ NAME, … }`, whose names are added, or the start of another assignment. */
function assigned(tokens, at, names) {
    if (/^(?:module|exports)$/.test(tokens[at]?.text)) {
        const end = tokens[at].text === 'module' ? at + 2 : at;
        return tokens[end + 1]?.text === '=';
    }
    if (tokens[at]?.text !== '{') return false;
    const { depth } = tokens[at];
    let wanted = true; // A key comes next.
    for (at++; tokens[at] && !(tokens[at].text === '}' && tokens[at].depth === depth); at++) {
        const { kind, text } = tokens[at];
        if (tokens[at].depth === depth + 1 && text === ',') {
            wanted = true;
        } else if (wanted && !(/^(?:async|get|set|\*)$/.test(text) && !/^[,:(}]$/.test(tokens[at + 1]?.text))) {
            const key = kind === 'string' ? text.slice(1, -1) : text;
            if (!/^(?:word|string|number)$/.test(kind) || key === '__proto__' || key.includes('\\')) return false;
            names.set(key, tokens[at].at);
            wanted = false;
        }
    }
    const next = tokens[at + 1];
    const onNewLine = next?.newLine && next.kind === 'word' && !/^(?:in|instanceof)$/.test(next.text);
    return Boolean(tokens[at]) && (!next || onNewLine || /^[;})]$/.test(next.text));
}

/** Whether `module.exports` or an assignment to `exports.NAME` begins here. */
function isCommonjs(tokens, at) {
    const follows = (...words) => words.every((word, index) => tokens[at + 1 + index]?.text === word);
    if (tokens[at].kind !== 'word' || isProperty(tokens, at)) return false;
    if (tokens[at].text === 'module') return follows('.', 'exports');
    return tokens[at].text === 'exports' && follows('.') && tokens[at + 3]?.text === '=';
}

function isProperty(tokens, at) {
    return /^\??\.$/.test(tokens[at - 1]?.text);
}

const SKIPPED = /\s+|\/\/.*|\/\*[^]*?\*\//y;
const STRING = /"(?:[^"\\\n\r]|\\(?:\r\n|[^]))*"|'(?:[^'\\\n\r]|\\(?:\r\n|[^]))*'/y;
const NUMBER = /\.?\d[\w.]*/y;
const REGEX = /\/(?:[^/\\[\n\r]|\\.|\[(?:[^\]\\\n\r]|\\.)*\])+\/\w*/y;
const SIGN = /\.\.\.|\?\.(?!\d)|=>|[=!]==?|\+\+|--|[^]/y;
const PIECE = /(?:[^`\\$]|\\[^]|\$(?!\{))*(`|\$\{)/y;
// Words after which a slash begins a regular expression.
const OPERATORS = /^(?:return|typeof|case|do|else|in|instanceof|new|of|throw|void|delete|await|yield)$/;

/** The tokens of a text that compiles, with the depth of brackets around each; null where only a parser could tell. */
function tokenize(text) {
    if (text.includes('<!--') || text.includes('-->')) return null; // Comments, in scripts.
    const tokens = [];
    const open = []; // The brackets around, `${` among them.
    let at = text.startsWith('#!') ? text.search(/[\n\r\u2028\u2029]|$/) : 0;
    let newLine = false;
    const read = (pattern) => {
        pattern.lastIndex = at;
        return pattern.exec(text)?.[0];
    };
    const add = (kind, token) => {
        tokens.push({ kind, text: token, at, depth: open.length, newLine });
        at += token.length;
        newLine = false;
    };
    while (at < text.length) {
        const skipped = read(SKIPPED);
        if (skipped) {
            newLine ||= /[\n\r\u2028\u2029]/.test(skipped);
            at += skipped.length;
            continue;
        }
        const continued = text[at] === '}' && open.at(-1) === '${';
        if (text[at] === '`' || continued) {
            if (continued) open.pop();
            at++;
            const piece = read(PIECE);
            if (piece === undefined) return null;
            add('template', piece);
            if (piece.endsWith('${')) open.push('${');
            continue;
        }
        const found = [['word', IDENTIFIER], ['string', STRING], ['number', NUMBER]].find(([, pattern]) => read(pattern));
        if (found) {
            add(found[0], read(found[1]));
        } else if (text[at] === '/') {
            const before = tokens.at(-1);
            if (/^(?:\)|\}|\+\+|--)$/.test(before?.text)) return null;
            const operator = before?.kind === 'word' && OPERATORS.test(before.text) && !isProperty(tokens, tokens.length - 1);
            const divides = before && (before.kind === 'sign' ? before.text === ']' : !operator && !isOpen(before));
            const token = divides ? '/' : read(REGEX);
            if (token === undefined) return null;
            add(divides ? 'sign' : 'regex', token);
        } else {
            const sign = read(SIGN);
            if (sign === '\\') return null; // An escape in a name.
            if (/^[)\]}]$/.test(sign)) open.pop();
            add('sign', sign);
            if (/^[([{]$/.test(sign)) open.push(sign);
        }
    }
    return tokens;
}

/** Whether the token is a template's piece before `${`. */
function isOpen(token) {
    return token.kind === 'template' && token.text.endsWith('${');
}

main(...process.argv.slice(2)).then(
    (status) => {
        process.exitCode = status;
    },
    (failure) => { // Not 1, which Node would say: that is an answer.
        console.error(`check.cjs: ${failure?.name}: ${failure?.message}`);
        process.exitCode = 2;
    },
);
