// Read the table of keys in docs/configuration.md.

import { readFileSync } from "node:fs";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../../..");

// Return {key: {default, range, choices}}. A default is as UCI has it: a text, a list of texts, or null.
export function documentedKeys() {
  const keys = new Map();
  for (const line of readFileSync(path.join(ROOT, "docs/configuration.md"), "utf8").split("\n")) {
    const [, key, value, allowed] = /^\| `([^`]+)`(?: \*)? \| (.*?) \| (.*?) \| /.exec(line) ?? [];
    if (!key) continue;
    const parsed = value.startsWith("`") ? JSON.parse(value.slice(1, -1)) : null;
    const range = /^from (.*) to (.*)$/.exec(allowed)?.slice(1);
    const choices = allowed.startsWith('"') ? allowed.match(/"[^"]*"/g).map((choice) => choice.slice(1, -1)) : null;
    keys.set(key, { default: Array.isArray(parsed) || parsed === null ? parsed : String(parsed), range, choices });
  }
  return keys;
}
