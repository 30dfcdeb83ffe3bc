/*
 * Play LuCI in the browser: the modules that the pages require, with LuCI's rules for children of nodes, requests,
 * polls and views. `played` is for the test. This file is a module, so that its names are invisible for a page without the
 * 'require' lines.
 */

Object.defineProperty(String.prototype, "format", {
  value(...values) {
    return String(this).replace(/%([sd%])/g, (_match, kind) => {
      if (kind === "%") return "%";
      const value = values.shift();
      return kind === "d" ? String(Math.trunc(Number(value))) : String(value);
    });
  },
});

const played = { modules: {}, polls: [], ticks: 0 };
window._ = (text) => text;

// Modules: the DOM. A bare string is HTML, a string in an array is text, and a null in an array is the text "null".

const dom = {
  elem: (value) => value instanceof Node,

  parse(html) {
    return document.createRange().createContextualFragment(html).firstElementChild;
  },

  append(node, children) {
    if (Array.isArray(children))
      for (const child of children) node.appendChild(dom.elem(child) ? child : document.createTextNode(`${child}`));
    else if (typeof children === "function") return dom.append(node, children(node));
    else if (dom.elem(children)) node.appendChild(children);
    else if (children !== null && children !== undefined) node.innerHTML = `${children}`;
    return node.lastChild;
  },

  content(node, children) {
    while (node.firstChild) node.removeChild(node.firstChild);
    return dom.append(node, children);
  },

  attr(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, typeof value === "object" ? JSON.stringify(value) : value);
    }
  },

  create(tag, attributes, children) {
    if (!(attributes instanceof Object) || Array.isArray(attributes)) [attributes, children] = [{}, attributes];
    const node = tag.charCodeAt(0) === 60 ? dom.parse(tag) : document.createElement(tag);
    dom.attr(node, attributes);
    dom.append(node, children);
    return node;
  },
};
const E = (window.E = dom.create);

// Modules: requests to the router.

const STATUS = [
  "",
  "Invalid command",
  "Invalid argument",
  "Method not found",
  "Resource not found",
  "No data received",
  "Permission denied",
  "Request timeout",
  "Not supported",
];

async function ubus(object, method, params) {
  const response = await fetch("/ubus", { method: "POST", body: JSON.stringify({ object, method, params }) });
  return response.json(); // [code] or [0, answer]
}

const rpc = {
  declare({ object, method, params = [], expect }) {
    return async (...values) => {
      const named = Object.fromEntries(
        params.map((name, at) => [name, values[at]]).filter(([, value]) => value != null),
      );
      const [code, answer] = await ubus(object, method, named);
      let result = code === 0 ? answer : code;
      for (const [key, otherwise] of Object.entries(expect || {})) {
        if (result != null && key !== "") result = result[key];
        if (Object.prototype.toString.call(result) !== Object.prototype.toString.call(otherwise)) result = otherwise;
      }
      return result;
    };
  },
};

const fs = {
  async exec(command, params) {
    const [code, answer] = await ubus("file", "exec", { command, params });
    if (code !== 0) throw Object.assign(new Error(STATUS[code]), { name: code === 6 ? "PermissionError" : "Error" });
    return answer;
  },

  async exec_direct(command, params, type) {
    const escaped = [command, ...params].map((word) => word.replace(/\\/g, "\\\\").replace(/(\s)/g, "\\$1"));
    const response = await fetch("/cgi-bin/cgi-exec", { method: "POST", body: escaped.join(" ") });
    if (response.status !== 200) throw new Error(response.statusText);
    return type === "json" ? response.json() : response.text();
  },
};

// Modules: the page.

const poll = {
  add(run, interval) {
    played.polls.push({ run, interval });
  },
};

// Run the polls of the next seconds.
played.poll = async (seconds) => {
  for (let second = 0; second < seconds; second += 1) {
    played.ticks += 1;
    for (const { run, interval } of played.polls) if (played.ticks % interval === 0) await run();
  }
};

const ui = {
  changes: { apply: () => ubus("uci", "apply", {}) },

  createHandlerFn(context, handler, ...given) {
    const run = typeof handler === "string" ? context[handler] : handler;
    if (typeof run !== "function") return null;
    return (event) => {
      const target = event.currentTarget;
      target.disabled = true;
      target.blur();
      Promise.resolve(run.apply(context, [...given, event])).finally(() => (target.disabled = false));
    };
  },

  showModal(title, children) {
    ui.hideModal();
    const modal = E("div", { id: "modal", role: "dialog", "aria-modal": "true" }, [E("h4", {}, title)]);
    dom.append(modal, children);
    document.body.appendChild(modal);
  },

  hideModal() {
    document.getElementById("modal")?.remove();
  },

  addNotification(title, children, ...classes) {
    const body = E("div");
    if (title != null) dom.append(body, E("h4", {}, title));
    dom.append(body, children);
    const dismiss = E("button", { class: "btn", click: (event) => event.target.closest(".notification").remove() }, [
      "Dismiss",
    ]);
    const message = E("div", { class: ["notification", ...classes].join(" ") }, [body, dismiss]);
    const main = document.getElementById("maincontent");
    main.insertBefore(message, main.firstElementChild);
    return message;
  },
};

class View {
  static extend(properties) {
    const view = class extends this {};
    Object.assign(view.prototype, properties);
    return view;
  }

  async begin() {
    const place = document.getElementById("view");
    const content = await this.render(await this.load());
    dom.content(place, content);
    const buttons = [
      ["handleSaveApply", "Save & Apply"],
      ["handleSave", "Save"],
      ["handleReset", "Reset"],
    ];
    for (const [handler, title] of buttons)
      if (this[handler])
        place.appendChild(E("button", { id: handler, click: ui.createHandlerFn(this, handler) }, [title]));
  }

  load() {}

  async handleSave() {
    for (const map of document.querySelectorAll(".cbi-map")) await map.form?.save();
  }

  async handleSaveApply() {
    await this.handleSave();
    await ui.changes.apply();
  }

  async handleReset() {
    for (const map of document.querySelectorAll(".cbi-map")) await map.form?.reset();
  }
}

Object.assign(played.modules, { dom, fs, poll, rpc, ui, view: View });
Object.assign(played, { ubus });

const L = (window.L = {
  bind: (run, context, ...given) => run.bind(context, ...given),
  hasViewPermission: () => played.mayWrite,
  resolveDefault: (value, otherwise) => Promise.resolve(value).catch(() => otherwise),
});

// Load a view as LuCI does: each 'require' line at its begin names a module, which becomes an argument.
played.open = async (name) => {
  const response = await fetch(`/luci-static/resources/view/${name}.js`);
  const source = await response.text();
  const names = [];
  let rest = source.replace(/^\s*\/\*[^]*?\*\/\s*/, "");
  for (let line; (line = /^'(?:use strict|require ([^\s']+))';\s*/.exec(rest)); rest = rest.slice(line[0].length))
    if (line[1]) names.push(line[1]);
  const missing = names.filter((required) => !(required in played.modules));
  if (missing.length) throw new Error(`the played LuCI has no ${missing}`);
  // The only way to run a script with a return at its top level.
  const factory = new window.Function("window", "document", "L", ...names, `${source}\n//# sourceURL=${name}.js`);
  const Class = factory.apply(factory, [window, document, L, ...names.map((required) => played.modules[required])]);
  played.view = new Class();
  await played.view.begin();
};
window.played = played;
