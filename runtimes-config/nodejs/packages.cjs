// Lists what was installed in a directory, as JSON, and what of it has a script for its installation.
//
//     node packages.cjs DIRECTORY [deny]
//
// Prints {"packages": [{"name", "version"}], "scripts": [{"name", "version", "script"}]}. Exits with 1 if it was told
// to deny scripts and a package has one.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const SCRIPTS = ["preinstall", "install", "postinstall"];

/** The packages of a `node_modules` and of those within it, by their real directories: links lead to each once. */
function collect(modules, found) {
  for (const directory of directories(modules)) {
    const real = fs.realpathSync(directory);
    if (found.has(real)) continue;
    const manifest = read(path.join(real, "package.json"));
    found.set(real, manifest && { ...manifest, name: manifest.name || path.relative(modules, directory) });
    collect(path.join(real, "node_modules"), found);
  }
}

/** The packages' directories in a `node_modules`: its entries, those of its scopes, and pnpm's virtual store. */
function directories(modules) {
  return entries(modules).flatMap((name) => {
    const inside = path.join(modules, name);
    if (name === ".pnpm") {
      return entries(inside).flatMap((store) => directories(path.join(inside, store, "node_modules")));
    }
    if (name.startsWith(".")) return [];
    if (name.startsWith("@")) return entries(inside).map((scoped) => path.join(inside, scoped));
    return [inside];
  });
}

/** The names of the directories and of the links to some in a directory; none where there is no such directory. */
function entries(directory) {
  let all;
  try {
    all = fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  const isDirectory = (entry) =>
    entry.isDirectory() ||
    (entry.isSymbolicLink() && fs.statSync(path.join(directory, entry.name), { throwIfNoEntry: false })?.isDirectory());
  return all.filter(isDirectory).map((entry) => entry.name);
}

/** A package's manifest, or nothing where it cannot be read. */
function read(file) {
  try {
    const manifest = JSON.parse(fs.readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
    return typeof manifest === "object" ? manifest : null;
  } catch {
    return null;
  }
}

/** The script that an installer runs for a package: the first of its own, or node-gyp's where there is a `binding.gyp`. */
function scriptOf(directory, manifest) {
  const own = SCRIPTS.find((name) => typeof manifest.scripts?.[name] === "string" && manifest.scripts[name]);
  if (own) return own;
  return manifest.gypfile !== false && fs.existsSync(path.join(directory, "binding.gyp")) ? "install" : undefined;
}

const [directory, mode] = process.argv.slice(2);
const found = new Map();
collect(path.join(directory, "node_modules"), found);
const packages = new Map();
const scripts = new Map();
for (const [real, manifest] of found) {
  if (!manifest) continue;
  const { name } = manifest;
  const version = typeof manifest.version === "string" ? manifest.version : "0.0.0";
  const key = `${name}@${version}`;
  packages.set(key, { name, version });
  const script = scriptOf(real, manifest);
  if (script) scripts.set(key, { name, version, script });
}
const sorted = (map) => [...map.keys()].sort().map((key) => map.get(key));
console.log(JSON.stringify({ packages: sorted(packages), scripts: sorted(scripts) }));
if (mode === "deny" && scripts.size > 0) process.exitCode = 1;
