// Use the LuCI page in Chromium, on a played router. tests/luci calls this:
//   node tests/browser/luci/test.mjs PACKAGES [NAKODO]

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

import { filesTests } from "./files_tests.mjs";
import { optionsTests } from "./options_tests.mjs";
import { realTests } from "./real_tests.mjs";
import { Router } from "./router.mjs";
import { acl, opener, uciFile } from "./scene.mjs";
import { statusTests } from "./status_tests.mjs";
import { APP } from "./template.mjs";
import { PlayedTracker, RealTracker } from "./tracker.mjs";

const [packages, program] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);
const axe = require("axe-core");
const { chromium } = require("playwright-core");

async function run(browser, name, test, makeTracker) {
  const mistakes = [],
    routers = [];
  const open = opener(browser, makeTracker, mistakes, routers);
  try {
    const tracker = makeTracker();
    await test({ open, axe, packages, tracker, router: new Router({ app: APP, acl, uci: uciFile(), tracker }) });
    for (const page of browser.pages().slice(1)) await page.close();
    mistakes.push(...routers.flatMap((router) => router.refused.map((words) => `not permitted: ${words.join(" ")}`)));
    assert.deepEqual(mistakes, []);
    console.log(`ok      ${name}`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${name}\n${error.stack}\n${mistakes.join("\n")}`);
    return false;
  } finally {
    for (const { server } of routers) server.close();
  }
}

const profile = mkdtempSync(path.join(os.tmpdir(), "nakodo-chromium-"));
const results = [];
let browser, real;
try {
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    env: { ...process.env, HOME: profile },
  });
  for (const [name, test] of Object.entries({ ...filesTests, ...statusTests, ...optionsTests }))
    results.push(await run(browser, name, test, () => new PlayedTracker()));
  if (program) {
    real = new RealTracker(program);
    await real.start();
    for (const [name, test] of Object.entries(realTests)) results.push(await run(browser, name, test, () => real));
  }
} finally {
  await real?.stop();
  await browser?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 }); // the last processes of Chromium may still write
}
console.log(`${results.filter(Boolean).length} of ${results.length} tests passed`);
process.exitCode = results.every(Boolean) ? 0 : 1;
