// Test the page with the options.

import assert from "node:assert/strict";

import { documentedKeys } from "./keys.mjs";
import { HOSTILE, NOTICE, uciFile, until, WARNING } from "./scene.mjs";

const OPTION_VALUES = [
  ["nakodo", "listen", ["0.0.0.0:6969", "[::]:6969", "192.0.2.1:80"], ["6969", "0.0.0.0", "::1:6969", "home:6969"]],
  ["nakodo", "memory", ["8 MiB", "512KiB", "8 MB", "1 gib", "300000 B", ""], ["8", "8 M", "1.5 MiB", "-8 MiB", "many"]],
  ["access", "capacity", ["1024", ""], ["1k", "-1", "1.5"]],
  ["access", "retire_after", ["90s", "30m", "1h 30m", "30d", "2 weeks", ""], ["30", "d", "30x", "-1d", "1.5h", "soon"]],
  [
    "network",
    "interface",
    ["wan", "pppoe-wan", "br-lan.2", "interface-name1"],
    ["a b", "wan/eth0", "interface-name16"],
  ],
  ["network", "external_v4", ["203.0.113.7"], ["203.0.113", "203.0.113.0/24", "home"]],
  ["network", "external_v6", ["2001:db8::7"], ["203.0.113.7", "2001:db8::/64"]],
];

export const optionsTests = {
  async "every option is a key with its default"({ open }) {
    const { page } = await open("options");
    const keys = documentedKeys();
    const options = await page.evaluate(() =>
      window.played.map.sections.flatMap((section) =>
        section.options.map((option) => ({
          type: section.type,
          name: option.option,
          default: option.default ?? option.placeholder ?? null,
          choices: option.choices.map(([key]) => key),
        })),
      ),
    );
    assert.equal(options.length, 14);
    for (const option of options.filter(({ name }) => name !== "enabled")) {
      const key = option.type === "nakodo" ? option.name : `${option.type}.${option.name}`;
      assert.ok(keys.has(key), `${key} is no key`);
      const documented = keys.get(key);
      assert.deepEqual(option.default, documented.default, `the default of ${key}`);
      if (documented.choices)
        assert.deepEqual(option.choices.sort(), documented.choices.sort(), `the values of ${key}`);
    }
    for (const type of new Set(options.map((option) => option.type)))
      assert.ok(
        Object.values(uciFile()).some((section) => section[".type"] === type),
        `no section ${type}`,
      );
  },

  async "options accept the same values as the tracker"({ open }) {
    const { page } = await open("options");
    const accepts = (type, name, text) =>
      page.evaluate(
        ([section, option, value]) => {
          const options = window.played.map.sections.find((one) => one.type === section).options;
          return options.find((one) => one.option === option).fault(section, value) === null;
        },
        [type, name, text],
      );
    for (const [type, name, good, bad] of OPTION_VALUES) {
      for (const text of good) assert.ok(await accepts(type, name, text), `${type}.${name} refuses ${text}`);
      for (const text of bad) assert.ok(!(await accepts(type, name, text)), `${type}.${name} accepts ${text}`);
    }
    let limits = 0;
    for (const [key, { range }] of documentedKeys()) {
      const [type, name] = key.includes(".") ? key.split(".") : ["nakodo", key];
      const section = type === "nakodo" ? "main" : type;
      if (!range || !(await page.locator(`[id="cbid.nakodo.${section}.${name}"]`).count())) continue;
      limits += 1;
      for (const text of range) assert.ok(await accepts(type, name, text), `${key} refuses its limit ${text}`);
      const below = range[0].replace(/\d+/, "0"),
        above = range[1].replace(/\d+/, (number) => Number(number) + 1);
      for (const text of [below, above]) assert.ok(!(await accepts(type, name, text)), `${key} accepts ${text}`);
    }
    assert.equal(limits, 5);
  },

  async "saving the options"({ open }) {
    const { page, router } = await open("options");
    const before = structuredClone(router.uci);
    await page.click("#handleSave");
    await page.waitForTimeout(100);
    assert.deepEqual(router.uci, before, "saving without a change changed an option");
    await page.fill('[id="cbid.nakodo.main.memory"]', "4 MiB");
    await page.uncheck('[id="cbid.nakodo.main.enabled"]');
    await page.selectOption('[id="cbid.nakodo.access.wan"]', "closed");
    await page.fill('[id="cbid.nakodo.access.capacity"]', "");
    await page.fill('[id="cbid.nakodo.network.interface"]', "wan\nwwan");
    await page.click("#handleSaveApply");
    await until(() => router.applied === 1);
    assert.deepEqual(router.uci.main, { ...before.main, enabled: "0", memory: "4 MiB" });
    const { capacity, ...access } = before.access;
    assert.equal(capacity, "512");
    assert.deepEqual(router.uci.access, { ...access, wan: "closed" });
    assert.deepEqual(router.uci.network.interface, ["wan", "wwan"]);
  },

  async "a wrong option is not saved"({ open }) {
    const { page, router } = await open("options");
    const before = structuredClone(router.uci);
    await page.fill('[id="cbid.nakodo.main.memory"]', "8");
    await page.click("#handleSave");
    await page.locator(NOTICE, { hasText: "Expected a number with its unit, from 256 KiB to 1 GiB." }).waitFor();
    assert.deepEqual(router.uci, before);
  },

  async "missing sections and an own file"({ open }) {
    const { page, router } = await open("options", {
      prepare: ({ router: { uci } }) => {
        delete uci.access;
        uci.main.config_file = HOSTILE;
      },
    });
    assert.equal(
      await page.locator(WARNING).textContent(),
      `The file ${HOSTILE} replaces all options on this page but the first.`,
    );
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(router.uci.access, undefined, "opening the page changed the configuration");
    await page.fill('[id="cbid.nakodo.access.retire_after"]', "2h 30m");
    await page.click("#handleSave");
    await until(() => router.uci.access?.retire_after === "2h 30m");
    assert.equal(router.uci.access[".type"], "access");
  },
};
