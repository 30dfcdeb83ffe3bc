// Play the router of the pages: uhttpd's files, rpcd's ubus calls with its permissions, procd's services and UCI.

import http from "node:http";
import { readFileSync } from "node:fs";
import path from "node:path";

const PERMISSION_DENIED = 6,
  METHOD_NOT_FOUND = 3;

// Match as fnmatch(3) with FNM_NOESCAPE, with which rpcd compares a command line with its permissions.
export function matches(pattern, text) {
  let source = "";
  for (let at = 0; at < pattern.length; at += 1) {
    const set = /^\[(!?)([^\]]+)\]/.exec(pattern.slice(at));
    if (pattern[at] === "*") source += "[^]*";
    else if (pattern[at] === "?") source += "[^]";
    else if (set) {
      source += `[${set[1] && "^"}${set[2].replace(/[\\^]/g, "\\$&")}]`;
      at += set[0].length - 1;
    } else source += pattern[at].replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  }
  return new RegExp(`^${source}$`).test(text);
}

// Return the permissions of a session that has the groups of a file of acl.d, as [scope, object, function].
export function permissions(acl, mayWrite) {
  return Object.values(acl).flatMap((group) =>
    ["read", "write"]
      .slice(0, mayWrite ? 2 : 1)
      .flatMap((right) =>
        Object.entries(group[right] ?? {}).flatMap(([scope, objects]) =>
          Array.isArray(objects)
            ? objects.map((object) => [scope, object, right])
            : Object.entries(objects).flatMap(([object, functions]) => functions.map((name) => [scope, object, name])),
        ),
      ),
  );
}

// Read a file of /etc/config.
export function readUci(text) {
  const sections = {};
  let section;
  for (const line of text.split("\n")) {
    const [, kind, name, value] = /^\s*(config|option|list)\s+(\S+)(?:\s+'(.*)')?/.exec(line) ?? [];
    if (kind === "config") {
      const key = value ?? `cfg${Object.keys(sections).length}`;
      section = sections[key] = { ".type": name, ".name": key };
    } else if (kind === "option") section[name] = value;
    else if (kind === "list") (section[name] ??= []).push(value);
  }
  return sections;
}

export class Router {
  constructor({ app, acl, uci, tracker }) {
    Object.assign(this, {
      app,
      acl,
      uci,
      tracker,
      mayWrite: true,
      isRunning: true,
      commands: [],
      refused: [],
      applied: 0,
    });
    this.server = http.createServer((request, response) => this.answer(request, response));
  }

  start() {
    return new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve(this.server.address().port)));
  }

  may(scope, object, name) {
    const granted = permissions(this.acl, this.mayWrite);
    return granted.some((one) => one[0] === scope && matches(one[1], object) && matches(one[2], name));
  }

  // Run a command as rpcd does: its path, or all its words with spaces between them, must match a permission.
  async run(words) {
    const line = words.join(" ");
    if (!this.may("file", words[0], "exec") && !this.may("file", line, "exec")) {
      this.refused.push(words);
      return null;
    }
    this.commands.push(words);
    return this.tracker.run(words, this);
  }

  async ubus({ object, method, params }) {
    if (object === "uci") return this.changeUci(method, params);
    if (!this.may("ubus", object, method)) return [PERMISSION_DENIED];
    if (object === "file") {
      const result = await this.run([params.command, ...params.params]);
      return result ? [0, result] : [PERMISSION_DENIED];
    }
    const instances = { instance1: { running: true, pid: 7 } };
    return [0, this.isRunning ? { [params.name]: { instances } } : {}];
  }

  // LuCI itself grants the calls of uci; the page needs the permission for its file.
  changeUci(method, params) {
    if (method === "apply") {
      this.applied += 1;
      return [0, {}];
    }
    if (!this.may("uci", params.config, method === "get" ? "read" : "write")) return [PERMISSION_DENIED];
    if (method === "get") return [0, { values: structuredClone(this.uci) }];
    if (method === "add") this.uci[params.name] = { ".type": params.type, ".name": params.name };
    else if (method === "set") Object.assign(this.uci[params.section], params.values);
    else if (method === "delete") delete this.uci[params.section][params.option];
    else return [METHOD_NOT_FOUND];
    return [0, {}];
  }

  async answer(request, response) {
    const { pathname } = new URL(request.url, "http://router");
    const send = (status, type, body) => response.writeHead(status, { "Content-Type": type }).end(body);
    const body = await new Promise((resolve) => {
      const parts = [];
      request.on("data", (part) => parts.push(part)).on("end", () => resolve(Buffer.concat(parts).toString()));
    });
    if (pathname === "/ubus") return send(200, "application/json", JSON.stringify(await this.ubus(JSON.parse(body))));
    if (pathname === "/cgi-bin/cgi-exec") return this.runDirectly(body, send);
    if (pathname.startsWith("/cgi-bin/luci/")) return send(200, "text/html; charset=utf-8", this.page());
    if (pathname === "/favicon.ico") return send(204, "image/x-icon", "");
    const root = pathname.startsWith("/played/") ? import.meta.dirname : path.join(this.app, "htdocs");
    try {
      return send(200, "text/javascript; charset=utf-8", readFileSync(path.join(root, pathname)));
    } catch {
      return send(404, "text/plain", "not found");
    }
  }

  // Run a command past ubus, as cgi-io does: its words are separated by spaces, and a backslash escapes one in a word.
  async runDirectly(line, send) {
    const words = line.match(/(?:\\[^]|\S)+/g).map((word) => word.replace(/\\([^])/g, "$1"));
    const result = this.may("cgi-io", "exec", "read") ? await this.run(words) : null;
    if (!result) return send(403, "text/plain", "");
    return result.code === 0 ? send(200, "application/octet-stream", result.stdout) : send(500, "text/plain", "");
  }

  page() {
    return `<!doctype html><html lang="en"><title>OpenWrt</title>
      <main id="maincontent"><h1>OpenWrt</h1><div id="view"></div></main>
      <script type="module" src="/played/luci.js"></script>
      <script type="module" src="/played/form.js"></script>
      <script type="module">played.mayWrite = ${this.mayWrite};</script></html>`;
  }
}
