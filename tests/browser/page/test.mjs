// Use the page of a running tracker in Chromium. tests/page starts this script, and does what it asks for on the standard
// output: announces, a visit of a friend, a restart.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [packages, screenshots] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function ask(action, value) {
  console.log(JSON.stringify({ do: action, with: value }));
  return JSON.parse((await answers.next()).value);
}

const folder = mkdtempSync(join(tmpdir(), 'nakodo-page-'));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
let steps = 0;
const step = (text) => { steps += 1; console.log(`  ${text}`); };

// Note everything that a page must not do: errors in the console, and requests to other origins.
const faults = [];
let origin;
let tolerated = /a^/;
function watch(page) {
  page.on('console', (message) => { if (message.type() === 'error' && !tolerated.test(message.text())) faults.push(`console: ${message.text()}`); });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith('data:') && !url.startsWith('blob:') && new URL(url).origin !== origin) faults.push(`request to ${url}`);
  });
}

async function accessible(page, name) {
  await page.evaluate(`if (!window.axe) { const module = undefined, exports = undefined, define = undefined; ${axe} }`);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations.filter((violation) => ['serious', 'critical'].includes(violation.impact));
  assert.deepEqual(serious.map((violation) => [violation.id, violation.nodes.map((node) => node.html)]), [], `axe, ${name}`);
}

// Return the elements that are wider than the window, if the page is.
const wide = (page) => page.evaluate(() => {
  if (document.documentElement.scrollWidth <= document.documentElement.clientWidth) return [];
  const isWide = (element) => element.getBoundingClientRect().right > document.documentElement.clientWidth && !element.closest('.scroll');
  return [...document.querySelectorAll('body *')].filter(isWide).map((element) => element.outerHTML.slice(0, 80));
});
const row = (page, text) => page.locator('#whitelist tbody tr').filter({ hasText: text });

try {
  const link = await ask('page_link');
  origin = new URL(link).origin;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, colorScheme: 'light' });
  const page = await context.newPage();
  watch(page);

  tolerated = /401 \(Unauthorized\)/;
  await page.goto(origin);
  assert.match(await page.textContent('main'), /nakodo page/);
  await accessible(page, 'the login page');
  await page.fill('input[name=code]', 'wrong');
  await page.click('button');
  assert.match(await page.textContent('[role=alert]'), /wrong/);
  step('a visitor without a code gets the login page, and a wrong code is refused');
  tolerated = /a^/;

  await page.waitForTimeout(1100); // A wrong code makes its address wait for a second.
  await page.goto(link);
  await page.waitForURL(`${origin}/`);
  await page.getByText(/^Up for/).waitFor();
  await page.locator('#begin').waitFor();
  await page.getByText('The whitelist is empty').waitFor();
  assert.match(await page.textContent('#reach'), /No announce from the internet/);
  await accessible(page, 'the empty page');
  step('the one-time link opens the page, which explains the next step');
  tolerated = /401 \(Unauthorized\)/;
  const thief = await (await browser.newContext()).newPage();
  await thief.goto(link);
  assert.match(await thief.textContent('[role=alert]'), /wrong, used/);
  await thief.context().close();
  tolerated = /a^/;
  step('the same link opens it for no second browser');
  await page.waitForTimeout(1100);

  const file = join(folder, 'film.bin');
  writeFileSync(file, Buffer.alloc(300_000, 'a film of somebody'));
  await page.setInputFiles('#make input[type=file]', file);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#make button')]);
  const torrent = join(folder, 'film.torrent');
  await download.saveAs(torrent);
  const [announce, infoHash] = await ask('torrent', [torrent, file]);
  assert.equal(announce, 'http://192.168.1.1:6969/announce');
  assert.match(await page.textContent('#made'), new RegExp(infoHash));
  step('the page makes a torrent of a file, with the right pieces and announce URL');

  await page.locator('#urls li').first().getByRole('button').click();
  await page.getByText('Copied.').waitFor();

  tolerated = /400 \(Bad Request\)/;
  await page.fill('#add [name=prefix]', 'no address');
  await page.click('#add button');
  await page.locator('#toast').filter({ hasText: /no address/ }).waitFor();
  tolerated = /a^/;
  await page.fill('#add [name=prefix]', '203.0.113.77');
  await page.fill('#add [name=user]', '<img src=x onerror=alert(1)>');
  await page.click('#add button');
  await row(page, '<img src=x onerror=alert(1)>').waitFor();
  assert.equal(await page.locator('#whitelist img').count(), 0, 'a name is text');
  step('a wrong address gets an error, a right one a row, and a name of HTML stays text');

  assert.equal(await ask('announce', 'near'), 'in');
  assert.equal(await ask('announce', 'home'), 'in');
  await page.waitForFunction(() => document.querySelector('#whitelist tbody tr').children[4].textContent === '1', null, { timeout: 30000 });
  await page.waitForFunction(() => /Announces from the internet arrive over UDP/.test(document.querySelector('#reach').textContent));
  await page.locator('#swarms tbody tr').first().waitFor();
  assert.equal(await page.locator('#begin').isVisible(), false);
  step('its announce is seen live: the peer, the swarm, and that the port is reachable');

  await row(page, '203.0.113.77').getByRole('button').click();
  await page.getByText('203.0.113.77/32 is revoked.').waitFor();
  await row(page, '203.0.113.77').waitFor({ state: 'detached' });
  assert.match(await ask('announce', 'near'), /whitelist/);
  await page.getByRole('button', { name: 'Undo' }).click();
  await row(page, '<img src=x onerror=alert(1)>').waitFor();
  assert.equal(await ask('announce', 'near'), 'in');
  step('a revocation refuses the address at once, and undo brings it back with its user');

  await row(page, '203.0.113.77').getByRole('button').click();
  await row(page, '203.0.113.77').waitFor({ state: 'detached' });
  assert.match(await ask('announce', 'near'), /whitelist/);
  await page.getByRole('button', { name: 'Allow 203.0.113.77/32' }).click({ timeout: 30000 });
  await row(page, '203.0.113.77').waitFor();
  await page.getByText('No client was refused.').waitFor();
  assert.equal(await ask('announce', 'near'), 'in');
  step('a refused client is listed with the reason, and one click allows it');

  await row(page, '203.0.113.77').getByRole('button').click();
  await row(page, '203.0.113.77').waitFor({ state: 'detached' });
  await page.fill('#invite [name=user]', 'ben');
  await page.click('#invite button');
  const invitation = await page.locator('#invitation code').first().textContent();
  assert.match(invitation, /^http:\/\/203\.0\.113\.9:6969\/login\/1\./);
  const image = join(folder, 'qr.png');
  await page.locator('#invitation svg').screenshot({ path: image });
  assert.equal(await ask('scan', image), invitation, 'the QR code has the link');
  const [status, welcome] = await ask('fetch', invitation);
  assert.deepEqual([status, /Logged in/.test(welcome)], [200, true]);
  await row(page, 'ben').filter({ hasText: 'by ticket' }).waitFor();
  assert.equal(await ask('announce', 'near'), 'in');
  step('an invitation, also as a QR code, logs a friend in from the internet');

  page.once('dialog', (dialog) => dialog.accept());
  await row(page, 'ben').getByRole('button').click();
  await row(page, 'ben').waitFor({ state: 'detached' });
  assert.match(await ask('announce', 'near'), /whitelist/);
  assert.match((await ask('fetch', invitation))[1], /Not logged in/);
  await page.fill('#add [name=prefix]', '203.0.113.77');
  await page.fill('#add [name=user]', 'ann');
  await page.click('#add button');
  await row(page, 'ann').waitFor();
  step('a revoked invitation logs in no more');

  const [refused] = await ask('fetch', link.replace(/\/\/[^/]*/, '//203.0.113.9:6970'));
  assert.equal(refused, 403);
  step('the page is refused from the internet');

  await page.waitForTimeout(1500); // The next step of the plots.
  await page.screenshot({ path: join(screenshots, 'desktop.png'), fullPage: true });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: join(screenshots, 'page.png') });
  assert.deepEqual(await wide(page), []);
  await accessible(page, 'the full page');

  // While the tracker is away, its connections fail.
  tolerated = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/;
  await Promise.all([page.getByText('The tracker does not answer').waitFor(), ask('restart')]);
  await page.locator('#state').filter({ hasText: /^Up for/ }).waitFor({ timeout: 30000 });
  await row(page, 'ann').waitFor();
  await page.fill('#add [name=prefix]', '198.51.100.0/24');
  await page.click('#add button');
  await row(page, '198.51.100.0/24').waitFor();
  tolerated = /a^/;
  step('the page survives a restart of the tracker, session included');

  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.deepEqual(await wide(page), [], 'nothing is wider than a phone');
  await accessible(page, 'the page on a phone, dark');
  await page.screenshot({ path: join(screenshots, 'phone-dark.png'), fullPage: true });
  await page.evaluate(() => document.getElementById('h-who').scrollIntoView());
  await page.screenshot({ path: join(screenshots, 'page-phone.png') });
  step('it fits a phone, light and dark, and axe finds no serious violation');

  await page.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
  const reached = new Set();
  for (let press = 0; press < 60; press += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.closest('form, section, header')?.id || document.activeElement.id));
  }
  for (const place of ['make', 'add', 'invite']) assert.ok(reached.has(place), `${place} is reached by the keyboard`);
  step('the keyboard reaches every form');

  const plain = await browser.newContext({ javaScriptEnabled: false, storageState: await context.storageState() });
  const quiet = await plain.newPage();
  watch(quiet);
  await quiet.goto(origin);
  await quiet.waitForURL(`${origin}/plain`);
  assert.match(await quiet.textContent('main'), /203\.0\.113\.77\/32\s*ann/);
  await quiet.screenshot({ path: join(screenshots, 'no-script.png'), fullPage: true });
  await plain.close();
  step('without scripts the plain page shows the state');

  tolerated = /401 \(Unauthorized\)/;
  await page.click('#leave');
  await page.getByText('The session has ended.').waitFor();
  await page.goto(origin);
  assert.match(await page.textContent('main'), /nakodo page/);
  step('log out ends the session');
  assert.deepEqual(faults, [], 'no error in the console, and no request to another origin');
  console.log(`${steps} steps of the page in Chromium, no serious violation, no console error, no request to another origin`);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
