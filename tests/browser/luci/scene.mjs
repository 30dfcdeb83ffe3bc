// Open a page of the played router in the browser, and read and use it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";

import { readUci, Router } from "./router.mjs";
import { APP } from "./template.mjs";

const ROOT = path.resolve(APP, "../../..");
export const readApp = (name) => readFileSync(path.join(APP, name), "utf8");
export const acl = JSON.parse(readApp("root/usr/share/rpcd/acl.d/luci-app-nakodo.json"));
export const uciFile = () => readUci(readFileSync(path.join(ROOT, "boards/openwrt-64mb/nakodo.uci"), "utf8"));

export const PROGRAM = "/usr/bin/nakodo";
export const HOSTILE = "<img src=x onerror=alert(1)>";
export const ADD = "#nakodo-add",
  NOTICE = ".notification",
  WARNING = ".alert-message";

export function cells(page, table) {
  return page
    .locator(`${table} tr`)
    .evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
}

export function revokeButton(page, prefix) {
  return page.getByRole("button", { name: `Revoke ${prefix}` });
}

export async function add(page, address, user) {
  await page.fill("#nakodo-address", address);
  await page.fill("#nakodo-user", user);
  await page.click(ADD);
}

export async function until(isTrue) {
  for (let tries = 0; !isTrue(); tries += 1) {
    assert.ok(tries < 50, `never true: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// Return `open`, which opens a page of a fresh router; `mistakes` collects the faults of all pages.
export function opener(browser, makeTracker, mistakes, routers) {
  return async (view, { prepare = () => {} } = {}) => {
    const tracker = await makeTracker();
    const router = new Router({ app: APP, acl, uci: uciFile(), tracker });
    routers.push(router);
    prepare({ router, tracker });
    const page = await browser.newPage();
    page.setDefaultTimeout(10_000);
    page.on("pageerror", (error) => mistakes.push(`the page failed: ${error.stack}`));
    page.on("console", (message) => mistakes.push(`console: ${message.text()}`));
    page.on("dialog", (dialog) => {
      mistakes.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.goto(`http://127.0.0.1:${await router.start()}/cgi-bin/luci/admin/services/nakodo/${view}`);
    await page.evaluate((name) => window.played.open(name), `nakodo/${view}`);
    return { page, router, tracker };
  };
}
