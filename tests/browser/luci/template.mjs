// Collect the translatable texts of the LuCI page into its template, as LuCI's build does:
//   node tests/browser/luci/template.mjs "$(tests/browser/install)"      writes po/templates/nakodo.pot

import { createRequire } from "node:module";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const APP = path.resolve(import.meta.dirname, "../../../boards/openwrt/luci-app-nakodo");
export const TEMPLATE = path.join(APP, "po/templates/nakodo.pot");

function* nodes(tree) {
  if (!tree || typeof tree !== "object") return;
  if (tree.type) yield tree;
  for (const value of Object.values(tree)) yield* nodes(value);
}

// Return the texts that a script passes to _().
function textsOfScript(file, espree) {
  const tree = espree.parse(readFileSync(file, "utf8"), { ecmaVersion: 5, sourceType: "commonjs" });
  const calls = [...nodes(tree)].filter((node) => node.type === "CallExpression" && node.callee.name === "_");
  return calls.map(({ arguments: [text] }) => {
    if (typeof text?.value !== "string") throw new Error(`${file}: _() takes one literal`);
    return text.value;
  });
}

// Return the texts of a menu or of a file of permissions that LuCI translates.
function textsOfJson(file) {
  const entries = Object.values(JSON.parse(readFileSync(file, "utf8")));
  return entries.map((entry) => entry.title ?? entry.description);
}

export function template(packages) {
  const espree = createRequire(`${packages}/package.json`)("espree");
  const files = readdirSync(APP, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(js|json)$/.test(name))
    .sort();
  const places = new Map();
  for (const name of files) {
    const file = path.join(APP, name);
    for (const text of name.endsWith(".js") ? textsOfScript(file, espree) : textsOfJson(file))
      places.set(text, (places.get(text) ?? new Set()).add(`#: applications/luci-app-nakodo/${name}\n`));
  }
  const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  const entries = [...places]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([text, names]) => `${[...names].join("")}msgid ${quoted(text)}\nmsgstr ""\n`);
  return ['msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n', ...entries].join("\n");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) writeFileSync(TEMPLATE, template(process.argv[2]));
