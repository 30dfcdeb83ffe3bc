// Test the files of the LuCI page without a browser.

import assert from "node:assert/strict";

import { matches, permissions } from "./router.mjs";
import { acl, PROGRAM, readApp } from "./scene.mjs";
import { template } from "./template.mjs";

const menu = JSON.parse(readApp("root/usr/share/luci/menu.d/luci-app-nakodo.json"));

export const filesTests = {
  menu() {
    const pages = Object.entries(menu).filter(([, entry]) => entry.action.type === "view");
    assert.deepEqual(
      pages.sort(([, one], [, other]) => one.order - other.order).map(([, entry]) => entry.action.path),
      ["nakodo/status", "nakodo/options"],
    );
    for (const [name, entry] of pages) {
      assert.ok(name.startsWith("admin/services/nakodo/"));
      readApp(`htdocs/luci-static/resources/view/${entry.action.path}.js`);
    }
    const { depends } = menu["admin/services/nakodo"];
    assert.deepEqual(depends.acl, Object.keys(acl));
    assert.deepEqual(depends.uci, { nakodo: true });
  },

  "permissions are narrow"() {
    const may = (mayWrite, ...words) =>
      permissions(acl, mayWrite).some(
        ([scope, object, name]) => scope === "file" && name === "exec" && matches(object, words.join(" ")),
      );
    for (const words of [
      ["status"],
      ["list"],
      ["list", "--export"],
      ["status", "--json", "--config", "/etc/shadow"],
      ["key", "new"],
      ["ticket", "--user", "x"],
      ["serve"],
      ["check", "--config", "/etc/shadow"],
      ["allow", "192.0.2.1"],
      ["allow", "--import", "/etc/shadow"],
      ["allow", "--config", "/etc/shadow", "--", "x"],
      ["allow", "--config=/etc/shadow", "--user=x", "--", "x"],
      ["allow", "--user=x", "--", "192.0.2.1"],
      ["revoke", "192.0.2.1"],
      ["revoke", "--user", "mika"],
      ["revoke", "--config", "/etc/shadow", "--", "x"],
      [],
    ])
      assert.ok(!may(true, PROGRAM, ...words), `${words} is permitted`);
    for (const words of [
      ["allow", "--", "192.0.2.1"],
      ["revoke", "--", "192.0.2.1"],
    ]) {
      assert.ok(may(true, PROGRAM, ...words), `${words} is refused`);
      assert.ok(!may(false, PROGRAM, ...words), `${words} is permitted to a reader`);
    }
    const files = permissions(acl, true).filter(([scope]) => scope === "file");
    assert.ok(files.every(([, object, name]) => object.startsWith(`${PROGRAM} `) && name === "exec"));
    assert.deepEqual(
      permissions(acl, true)
        .filter(([scope]) => scope === "uci")
        .map(([, object]) => object),
      ["nakodo", "nakodo"],
    );
  },

  "the template has all texts of the sources"({ packages }) {
    assert.equal(
      readApp("po/templates/nakodo.pot"),
      template(packages),
      'run node tests/browser/luci/template.mjs "$(tests/browser/install)"',
    );
  },
};
