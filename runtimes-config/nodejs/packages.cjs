// Lists what was installed in a directory, as JSON, and what of it has a script for its installation.
//
//     node packages.cjs DIRECTORY [deny]
//
// Prints {"packages": [{"name", "version"}], "scripts": [{"name", "version", "script"}]}. Exit status: 0 all is well,
// 1 scripts are denied and a package has one, 2 this helper failed.
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
    const name = string(manifest?.name) || path.relative(modules, directory);
    found.set(real, manifest && { ...manifest, name, version: string(manifest.version) ?? "0.0.0" });
    collect(path.join(real, "node_modules"), found);
  }
}

/** The packages' directories in a `node_modules` and in pnpm's virtual store within it. */
function directories(modules) {
  const store = path.join(modules, ".pnpm");
  return [modules, ...entries(store).map((name) => path.join(store, name, "node_modules"))].flatMap(linked);
}

/** The packages' directories that stand in a `node_modules` itself: its entries and those of its scopes. */
function linked(modules) {
  return entries(modules).flatMap((name) => {
    const inside = path.join(modules, name);
    if (name.startsWith(".")) return [];
    return name.startsWith("@") ? entries(inside).map((scoped) => path.join(inside, scoped)) : [inside];
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
  const leads = (entry) => entry.isSymbolicLink() && isDirectory(path.join(directory, entry.name));
  return all.filter((entry) => entry.isDirectory() || leads(entry)).map((entry) => entry.name);
}

function isDirectory(file) {
  try {
    return fs.statSync(file).isDirectory();
  } catch { // A link that leads nowhere, or in a circle.
    return false;
  }
}

/** A package's manifest, or nothing where it cannot be read. */
function read(file) {
  try {
    const manifest = JSON.parse(fs.readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
    return typeof manifest === "object" && !Array.isArray(manifest) ? manifest : null;
  } catch {
    return null;
  }
}

const string = (value) => (typeof value === "string" ? value : undefined);

/** The script that an installer runs for a package: the first of its own, or node-gyp's where there is a `binding.gyp`. */
function scriptOf(directory, manifest) {
  const own = SCRIPTS.find((name) => typeof manifest.scripts?.[name] === "string" && manifest.scripts[name]);
  if (own) return own;
  return manifest.gypfile !== false && fs.existsSync(path.join(directory, "binding.gyp")) ? "install" : undefined;
}

/** Prints the list: the exit status. */
function main(directory, mode) {
  const found = new Map();
  collect(path.join(directory, "node_modules"), found);
  const packages = new Map();
  const scripts = new Map();
  for (const [real, manifest] of found) {
    if (!manifest) continue;
    const { name, version } = manifest;
    const key = `${name}@${version}`;
    packages.set(key, { name, version });
    const script = scriptOf(real, manifest);
    if (script) scripts.set(key, { name, version, script });
  }
  const sorted = (map) => [...map.keys()].sort().map((key) => map.get(key));
  console.log(JSON.stringify({ packages: sorted(packages), scripts: sorted(scripts) }));
  return mode === "deny" && scripts.size > 0 ? 1 : 0;
}

try {
  process.exitCode = main(...process.argv.slice(2));
} catch (failure) { // Not 1, which Node would say: that is an answer.
  console.error(`packages.cjs: ${failure?.name}: ${failure?.message}`);
  process.exitCode = 2;
}
