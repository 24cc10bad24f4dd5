// Prints what a build depends on: Node's version, its ABI for add-ons, the C library and the machine.
//
// Run as `node -e TEXT`, on every start of a pod: loads nothing that Node has not loaded anyway, but for musl.
'use strict';

// As `uname -m` has them, and Python.
const ARCHES = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686', arm: 'armv7l', ppc64: 'ppc64le', loong64: 'loongarch64' };
const { version, versions, arch } = process;

/** glibc says its version in Node's report, which is quick only without the network's interfaces. */
function libc({ header, sharedObjects }) {
    const loader = sharedObjects.find((path) => path.includes('/ld-musl-'));
    return loader ? musl(loader) : header.glibcVersionRuntime && `glibc ${header.glibcVersionRuntime}`;
}

/** musl tells its version only by its loader, run without arguments. */
function musl(loader) {
    const { stderr } = require('node:child_process').spawnSync(loader, { encoding: 'utf8' });
    return ['musl', ...(/Version (\S+)/.exec(stderr) ?? []).slice(1)].join(' ');
}

process.report.excludeNetwork = true;
const report = process.report.getReport();
const facts = { abi: versions.modules, arch: ARCHES[arch] ?? arch, libc: libc(report) };
// What must be the same for the answer to be.
facts['leans-on'] = report.sharedObjects.filter((path) => path.startsWith('/')).join('\n');
console.log(JSON.stringify({ version: version.slice(1), facts }));
