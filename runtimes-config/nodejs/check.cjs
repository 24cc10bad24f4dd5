// Says, as JSON, which files do not compile and whether the handler's file exports the function.
//
//     node --no-warnings --expose-internals --experimental-vm-modules check.cjs SOURCE_DIR HANDLER_FILE FUNCTION
//
// Nothing of the author's runs or is loaded: the files are compiled, and the handler's is parsed.
// Exit status: 0 all is well, 1 it is not, 2 this helper failed. Output:
//
//     {"errors": [{"file", "line", "column", "message", "source"}],
//      "handler": {"state": "defined" | "missing" | "unknown" | "unchecked", "names": [{"name", "line"}]}}
//
// `line` and `column` count from 1, in characters, and are null where Node does not know them.
//
// A handler is "missing" only where that is certain; a false alarm would keep a good function from starting:
// - An ES module has no `export *` and no default export (which may be the function).
// - A CommonJS module mentions `module` and `exports` only as `exports.NAME`, `module.exports.NAME`, `this.NAME`,
//   `module.exports = { NAME, … }` with plain names and `Object.defineProperty(exports, 'NAME', …)`, or not at all, and has
//   no `eval`, `arguments` or `with`. Any of these names could be what is exported.
// - Where Node has no acorn to parse the file with, or that cannot read it, nothing is certain.
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
// Node's own parser, for which the option --expose-internals is; https://github.com/acornjs/acorn
const acorn = () => require('internal/deps/acorn/acorn/dist/acorn');
const walk = () => require('internal/deps/acorn/acorn-walk/dist/walk');

/** Prints the answer: the exit status. */
function main(root, handler, name) {
    const files = scripts(root).sort();
    if (!files.includes(handler)) files.push(handler);
    const errors = [];
    let found = { state: 'unchecked', names: [] };
    let located = 0;
    for (const file of files) {
        const checked = check(root, file);
        if (checked.error) errors.push(report(file, checked.error, checked.esm && located++ < LOCATED ? checked.text : null));
        else if (file === handler) found = look(checked, name);
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

/** Whether the file exports the name, as far as its syntax tree can say. */
function look({ text, esm }, name) {
    const unknown = { state: 'unknown', names: [] };
    if (text.length > READABLE) return unknown;
    try {
        const sourceType = esm ? 'module' : 'script';
        const accepted = { ecmaVersion: 'latest', allowHashBang: true, allowReturnOutsideFunction: true };
        return verdict(acorn().parse(text, { sourceType, ...accepted, locations: true }), text, esm, name) ?? unknown;
    } catch { // This Node's acorn is elsewhere or knows less syntax than V8, or the nesting is too deep.
        return unknown;
    }
}

function verdict(tree, text, esm, name) {
    const exported = esm ? moduleExports(tree) : commonjsExports(tree);
    if (!exported) return null;
    const shown = [...exported].filter(([word]) => !word.startsWith('_'));
    const names = shown.map(([word, { loc }]) => ({ name: word, line: loc.start.line }));
    if (exported.has(name)) return { state: 'defined', names };
    if (exported.has('default') || name in Object.prototype) return { state: 'unknown', names };
    const misplaced = (node, message) => ({ misplaced: { ...place(text, node), message } });
    const foreign = esm && commonjsUse(tree);
    if (foreign) return misplaced(foreign, `${foreign.name} is not defined in an ES module: write export, or name the file .cjs`);
    const declarations = tree.body.filter(({ type }) => /^(?:Function|Class|Variable)Declaration$/.test(type));
    const declared = declarations.flatMap(bound).find((node) => node.name === name);
    const cure = esm ? `export { ${name} }` : `module.exports.${name} = ${name}`;
    return declared ? misplaced(declared, `${name} is not exported: add the line ${cure}`) : { state: 'missing', names };
}

/** The names that an ES module exports, with their nodes; null if there may be others. */
function moduleExports({ body }) {
    if (body.some(({ type, exported }) => type === 'ExportAllDeclaration' && !exported)) return null;
    const nodes = body.flatMap(({ type, exported, specifiers, declaration }) => {
        if (type === 'ExportAllDeclaration') return [exported];
        if (type !== 'ExportNamedDeclaration') return [];
        return declaration ? bound(declaration) : specifiers.map((specifier) => specifier.exported);
    });
    const names = new Map(nodes.map((node) => [node.name ?? node.value, node]));
    const unnamed = body.find(({ type }) => type === 'ExportDefaultDeclaration');
    return unnamed ? names.set('default', unnamed) : names;
}

/** The identifiers that a declaration binds. */
function bound(declaration) {
    if (declaration.id) return [declaration.id];
    const names = [];
    const { base, simple } = walk();
    simple(declaration, { VariablePattern: (node) => names.push(node) }, { ...base, Expression() {} });
    return names;
}

/** Where an ES module uses what only a CommonJS module is given, and has nothing of its own of that name. */
function commonjsUse(tree) {
    const uses = [];
    const own = new Set(tree.body.flatMap(({ specifiers = [] }) => specifiers.map(({ local }) => local.name)));
    walk().simple(tree, {
        VariablePattern: ({ name }) => own.add(name),
        MemberExpression(node) {
            if (node.object.name === 'module' && keyOf(node) === 'exports') uses.push(node.object);
        },
        AssignmentExpression({ left }) {
            if (left.object?.name === 'exports') uses.push(left.object);
        },
    });
    return uses.find(({ name }) => !own.has(name));
}

/** The names that a CommonJS module may export, with their nodes; null if there may be others. */
function commonjsExports(tree) {
    const names = new Map();
    const add = (key, node) => names.has(key) || names.set(key, node);
    const loose = new Set(); // Nodes by which any name could be exported, until what is around them rules that out.
    const drop = (...nodes) => nodes.forEach((node) => loose.delete(node));
    const isExports = (node) => loose.has(node) && (node.type !== 'Identifier' || node.name === 'exports');
    const mention = (node) => /^(?:module|exports|eval|arguments)$/.test(node.name) && loose.add(node);
    walk().simple(tree, { // What is within a node comes before it.
        Identifier: mention,
        VariablePattern: mention,
        ThisExpression: (node) => loose.add(node),
        WithStatement: (node) => loose.add(node),
        ObjectPattern: ({ properties: keys }) => keys.some((node) => keyOf(node) === 'exports') && loose.add(keys),
        MemberExpression(node) {
            const { object, property } = node;
            const key = keyOf(node);
            if (key === 'exports') { // That of `require.cache[…]` remains.
                loose.add(object.name === 'module' ? node : property);
                if (object.name === 'module') drop(object);
            } else if (key && isExports(object)) {
                drop(object);
                add(key, property);
            }
        },
        AssignmentExpression(node) {
            const { operator, left, right } = node;
            const properties = right.type === 'ObjectExpression' && right.properties;
            const known = properties ? properties.every(keyOf) : right.type === 'AssignmentExpression' && loose.has(right);
            if (operator !== '=' || !isExports(left) || !known) return;
            drop(left, right);
            if (properties) properties.forEach((property) => add(keyOf(property), property));
            loose.add(node);
        },
        CallExpression(node) {
            const { callee, arguments: [object, key] } = node;
            if (callee.object?.name !== 'Object' || keyOf(callee) !== 'defineProperty') return;
            if (!isExports(object) || typeof key?.value !== 'string') return;
            drop(object);
            add(key.value, key);
            loose.add(node);
        },
        ExpressionStatement: ({ expression }) => drop(expression),
        LogicalExpression: ({ operator, left }) => operator === '&&' && drop(left), // `this && this.__awaiter`
        BinaryExpression: ({ operator, left, right }) => /^===?$/.test(operator) && drop(left, right), // `require.main === module`
    });
    return loose.size ? null : names;
}

/** The key of a member or a property, if it is plain, and not one that every object has: `__proto__` can bring in others. */
function keyOf({ computed, key, property = key }) {
    const name = property?.type === 'Literal' ? String(property.value) : computed ? undefined : property?.name;
    return name in Object.prototype ? undefined : name;
}

/** Line, column and the line itself of a node. */
function place(text, { start, loc }) {
    const line = start - loc.start.column;
    const source = text.slice(line).split(/[\n\r\u2028\u2029]/, 1)[0];
    return { line: loc.start.line, column: [...text.slice(line, start)].length + 1, source: source.slice(0, SOURCE) };
}

try {
    process.exitCode = main(...process.argv.slice(2));
} catch (failure) { // Not 1, which Node would say: that is an answer.
    console.error(`check.cjs: ${failure?.name}: ${failure?.message}`);
    process.exitCode = 2;
}
