/* Play LuCI's UCI and forms: sections, options with their datatypes and validators, saving. */

const { modules: loaded, ubus: callUbus } = window.played;
const create = window.E;

async function askUci(method, params) {
  const [code, answer] = await callUbus("uci", method, params);
  if (code !== 0) throw new Error(`uci ${method}: code ${code}`);
  return answer;
}

const uci = {
  values: {}, // of the file, with the changes of this page
  changes: [],

  async load(config) {
    this.config = config;
    this.values = (await askUci("get", { config })).values;
    return [config];
  },

  sections(_config, type) {
    return Object.values(this.values).filter((section) => section[".type"] === type);
  },

  get(_config, section, option) {
    return this.values[section]?.[option];
  },

  add(config, type, name) {
    this.values[name] = { ".type": type, ".name": name };
    this.changes.push(["add", { config, type, name }]);
    return name;
  },

  set(config, section, option, value) {
    this.values[section][option] = value;
    this.changes.push(["set", { config, section, values: { [option]: value } }]);
  },

  unset(config, section, option) {
    delete this.values[section][option];
    this.changes.push(["delete", { config, section, option }]);
  },

  async save() {
    for (const [method, params] of this.changes.splice(0)) await askUci(method, params);
  },
};

// The datatypes that the pages use.
const DATATYPES = {
  and: (text, ...types) => types.every((type) => isOfType(type, text)),
  uinteger: (text) => /^\d+$/.test(text),
  range: (text, least, most) => Number(text) >= Number(least) && Number(text) <= Number(most),
  port: (text) => /^\d+$/.test(text) && Number(text) <= 65535,
  ip4addr: (text) => /^\d+\.\d+\.\d+\.\d+$/.test(text) && text.split(".").every((part) => Number(part) < 256),
  ip6addr(text) {
    try {
      return text.includes(":") && Boolean(new window.URL(`http://[${text}]/`));
    } catch {
      return false;
    }
  },
  ipaddrport(text) {
    const v4 = /^([^[\]:]+):(\d+)$/.exec(text),
      v6 = /^\[(.+)\]:(\d+)$/.exec(text);
    const [, address, port] = v4 || v6 || [];
    return Boolean(address) && (v4 ? DATATYPES.ip4addr(address) : DATATYPES.ip6addr(address)) && DATATYPES.port(port);
  },
};

function isOfType(type, text) {
  const [, name, given] = /^(\w+)(?:\((.*)\))?$/.exec(type);
  if (!(name in DATATYPES)) throw new Error(`the played LuCI has no datatype ${name}`);
  return DATATYPES[name](text, ...(given ? given.split(/,(?![^(]*\))/) : []));
}

class Value {
  rmempty = true;
  choices = [];

  constructor(section, name, title, description) {
    Object.assign(this, { section, option: name, title, description });
  }

  value(key, title) {
    this.choices.push([key, title ?? key]);
  }

  id(section) {
    return `cbid.${this.section.map.config}.${section}.${this.option}`;
  }

  configured(section) {
    return uci.get(this.section.map.config, section, this.option);
  }

  shown(section) {
    return this.configured(section) ?? this.default ?? "";
  }

  render(section) {
    this.node = this.widget(section);
    return create("div", { class: "cbi-value" }, [
      create("label", { for: this.id(section) }, this.title),
      this.node,
      create("div", { class: "cbi-value-description" }, this.description),
    ]);
  }

  widget(section) {
    return create("input", {
      id: this.id(section),
      type: "text",
      value: this.shown(section),
      placeholder: this.placeholder,
    });
  }

  entered() {
    return this.node.value;
  }

  fault(section, text) {
    if (text === "") return null;
    if (this.datatype && !isOfType(this.datatype, text)) return `expected ${this.datatype}`;
    const verdict = this.validate ? this.validate(section, text) : true;
    return verdict === true ? null : verdict;
  }

  parse(section) {
    const { config } = this.section.map,
      entered = this.entered(),
      before = this.configured(section);
    const reason = [entered]
      .flat()
      .map((text) => this.fault(section, text))
      .find(Boolean);
    if (reason) throw new Error(`${this.title}: ${reason}`);
    const same = JSON.stringify([before ?? []].flat()) === JSON.stringify([entered].flat());
    if (entered.length === 0 && this.rmempty) {
      if (before !== undefined) uci.unset(config, section, this.option);
    } else if (!same) uci.set(config, section, this.option, entered);
  }
}

class ListValue extends Value {
  widget(section) {
    const select = create(
      "select",
      { id: this.id(section) },
      this.choices.map(([key, title]) => create("option", { value: key }, title)),
    );
    select.value = this.shown(section);
    return select;
  }
}

class Flag extends Value {
  widget(section) {
    const box = create("input", { id: this.id(section), type: "checkbox" });
    box.checked = this.shown(section) === "1";
    return box;
  }

  entered() {
    return this.node.checked ? "1" : this.rmempty ? "" : "0";
  }
}

class DynamicList extends Value {
  widget(section) {
    const items = [this.shown(section)].flat().filter(Boolean);
    return create("textarea", { id: this.id(section) }, [items.join("\n")]); // an item a line
  }

  entered() {
    return this.node.value.split("\n").filter(Boolean);
  }
}

class TypedSection {
  options = [];

  constructor(map, type, title) {
    Object.assign(this, { map, type, title });
  }

  option(Class, name, title, description) {
    const option = new Class(this, name, title, description);
    this.options.push(option);
    return option;
  }

  names() {
    return uci.sections(this.map.config, this.type).map((section) => section[".name"]);
  }

  render() {
    return create("div", { class: "cbi-section" }, [
      create("h3", {}, this.title),
      ...this.names().flatMap((name) => this.options.map((option) => option.render(name))),
    ]);
  }
}

class ConfigMap {
  constructor(config, title, description) {
    Object.assign(this, { config, title, description, sections: [] });
    window.played.map = this;
  }

  section(Class, type, title) {
    const section = new Class(this, type, title);
    this.sections.push(section);
    return section;
  }

  async render() {
    const node = create("div", { class: "cbi-map" }, [
      create("h2", {}, this.title),
      create("div", { class: "cbi-map-descr" }, this.description),
      ...this.sections.map((section) => section.render()),
    ]);
    node.form = this;
    return node;
  }

  async save() {
    try {
      for (const section of this.sections)
        for (const name of section.names()) for (const option of section.options) option.parse(name);
    } catch (error) {
      loaded.ui.addNotification("Save error", create("p", {}, [error.message]));
      return;
    }
    await uci.save();
  }
}

Object.assign(loaded, { uci, form: { Map: ConfigMap, TypedSection, Value, ListValue, Flag, DynamicList } });
