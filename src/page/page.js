'use strict';
// The page of nakodo. It reads the admin API and shows it; texts of others become text nodes, never HTML.

const $ = (id) => document.getElementById(id);
const PAGE = 50;
const EXPLAINED = 4;

// Make an element. Properties that begin with "on" are listeners.
function el(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const svg = (tag, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

// The API.

async function call(method, path, body) {
  const headers = method === 'GET' ? {} : { 'Content-Type': 'application/json', 'Nakodo-Page': '1' };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  if (answer.status === 401) ended();
  if (!answer.ok) {
    let reason = `${answer.status} ${answer.statusText}`;
    try { reason = JSON.parse(text).detail || reason; } catch { /* The status says enough. */ }
    throw new Error(reason);
  }
  return text && JSON.parse(text);
}

let isEnded = false;
function ended() {
  isEnded = true;
  if (events) events.close();
  $('state').replaceChildren('The session has ended. ', el('a', { href: '/' }, 'Log in again'));
  $('state').className = 'bad';
}

// Words.

const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many || one + 's'}`;
const number = (value) => Math.round(value).toLocaleString('en');
function span(seconds) {
  for (const [length, unit] of [[86400, 'day'], [3600, 'hour'], [60, 'minute']]) {
    if (seconds >= length) return plural(Math.floor(seconds / length), unit);
  }
  return plural(Math.max(0, Math.floor(seconds)), 'second');
}
function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < 3) { bytes /= 1024; unit += 1; }
  return `${unit ? bytes.toFixed(1) : number(bytes)} ${units[unit]}`;
}
const words = (counter) => counter.replace(/^(refused|tickets)_/, (all, group) => (group === 'tickets' ? 'ticket ' : '')).replaceAll('_', ' ');

// Messages, with an action to undo.

let toastTimer;
function say(text, action, run) {
  clearTimeout(toastTimer);
  const button = action && el('button', { type: 'button', onclick: () => { $('toast').replaceChildren(); run(); } }, action);
  $('toast').replaceChildren(el('span', {}, text), ...(button ? [button] : []));
  toastTimer = setTimeout(() => $('toast').replaceChildren(), action ? 20000 : 8000);
}
const attempt = (work) => work().catch((error) => say(error.message));

async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    // Over plain HTTP browsers have no clipboard.
    const area = el('textarea', { class: 'hide', readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  say('Copied.');
}
const copyButton = (text, name) => el('button', { type: 'button', class: 'quiet', 'aria-label': `Copy ${name}`, onclick: () => attempt(() => copy(text)) }, 'Copy');

// Replace the rows of a table, unless they are the same: a screen reader and the focus stay where they are.
function fill(body, rows, key) {
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...rows());
}

// The status.

let status;
async function refreshStatus() {
  try {
    const before = status;
    status = await call('GET', '/v1/status');
    const restarted = before && status.uptime_seconds < before.uptime_seconds;
    $('state').textContent = `Up for ${span(status.uptime_seconds)}`;
    $('state').className = 'good';
    if (restarted) refreshLists();
    showStatus();
  } catch (error) {
    if (isEnded) return;
    $('state').textContent = 'The tracker does not answer. Trying again…';
    $('state').className = 'bad';
  }
}

function showStatus() {
  const { memory, whitelist, http_connections: http, counters, admission, disk } = status;
  $('version').textContent = status.version;
  const urls = status.announce_urls.filter((url) => admission[url.side.toLowerCase()] !== 'closed');
  for (const url of status.public_url ? [status.public_url, status.public_url.replace(/^https?:/, 'udp:')].map((base) => `${base}/announce`) : []) {
    if (!urls.some((known) => known.url === url)) urls.push({ url, side: 'WAN' });
  }
  fill($('urls'), () => urls.map((url) => el('li', {}, el('span', { class: `side ${url.side}` }, url.side === 'LAN' ? 'home' : 'world'), el('code', {}, url.url), copyButton(url.url, url.url))), JSON.stringify(urls));
  const select = $('make').elements.url;
  fill(select, () => urls.map((url) => el('option', {}, url.url)), JSON.stringify(urls));
  const [udp, tcp] = [counters.announces_wan_udp, counters.announces_wan_http];
  const reached = [udp ? 'UDP' : '', tcp ? 'HTTP' : ''].filter(Boolean).join(' and ');
  $('reach').textContent = admission.wan === 'closed' ? 'The tracker serves local clients only: access.wan is "closed".'
    : reached ? `Announces from the internet arrive over ${reached}.`
      : `No announce from the internet has arrived in ${span(status.uptime_seconds)}. To serve clients outside, forward the port of the tracker, TCP and UDP, to this machine.`;
  $('begin').hidden = memory.peers > 0 || counters.announces_http + counters.announces_udp > 0;
  const part = (some, all) => [number(some), el('small', {}, ` of ${number(all)}`)];
  const figures = [
    ['Peers', [number(memory.peers)]], ['Peers at home', [number(memory.lan_peers)]], ['Seeders', [number(memory.seeders)]],
    ['Leechers', [number(memory.leechers)]], ['Swarms', [number(memory.swarms)]],
    ['Memory in use', [`${Math.ceil(100 * memory.lines_in_use / memory.lines)} %`, el('small', {}, ` of ${size(memory.budget_octets)}`)]],
    ['Whitelist', part(whitelist.entries, whitelist.capacity)], ['HTTP connections', part(http.entries, http.capacity)],
  ];
  $('figures').replaceChildren(...figures.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, ...value))));
  const rule = { open: 'all may announce', whitelist: 'only the addresses below may announce', closed: 'no client may announce' };
  $('policy').textContent = `At home ${rule[admission.lan]}; from the internet ${rule[admission.wan]}.`;
  const warnings = [...status.warnings];
  if (disk.failing) warnings.unshift(`Changes are refused, because the disk fails: ${disk.failing}. Free space, or replace the disk.`);
  if (disk.export_failing) warnings.push(`The second copy of the whitelist cannot be written: ${disk.export_failing}.`);
  if (disk.recovered) warnings.push(`The last start found damage and recovered: ${disk.recovered}.`);
  const evicted = counters.peers_evicted_stale + counters.peers_evicted_greedy + counters.peers_not_stored;
  if (evicted) warnings.push(`The memory was full: ${plural(evicted, 'peer')} had to leave or got no room. Give nakodo more with the key memory.`);
  fill($('warnings'), () => warnings.map((text) => el('li', {}, text)), JSON.stringify(warnings));
  $('attention').hidden = warnings.length === 0;
  const health = [
    `${size(status.flash.octets_written)} written to the disk since the start.`,
    disk.failures ? `The database failed ${plural(disk.failures, 'time')}, and was rewritten ${plural(disk.rebuilds, 'time')}.` : 'The disk has accepted every change.',
    counters.udp_replies_dropped ? `${plural(counters.udp_replies_dropped, 'reply', 'replies')} could not be sent.` : 'No reply was lost on this machine.',
    `${plural(counters.entries_retired, 'entry', 'entries')} of the whitelist retired since the start.`,
    ...status.interfaces.map((it) => `Interface ${it.name} is ${it.side === 'host' ? 'this machine' : it.side}: it ${it.reason}.`),
  ];
  fill($('health'), () => health.map((text) => el('li', {}, text)), JSON.stringify(health));
}

// The history.

let scale = 'hour';
async function refreshHistory() {
  const history = (await call('GET', '/v1/history'))[scale];
  const series = history.series;
  $('plots').replaceChildren(...series.map((one) => plot(one, history.step_seconds)));
}

function plot(series, step) {
  const slots = scale === 'hour' ? 60 : 96;
  const most = Math.max(1, ...series.counts);
  const total = series.counts.reduce((sum, count) => sum + count, 0);
  const kind = series.name === 'announces' ? '' : series.name === 'logins' ? ' logins' : ' refusal';
  const name = kind === ' refusal' ? `Refused: ${words(series.name)}` : series.name[0].toUpperCase() + series.name.slice(1);
  const image = svg('svg', { viewBox: `0 0 ${slots} 100`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${name}: ${total} in the last ${scale}` });
  series.counts.forEach((count, place) => {
    const height = count ? Math.max(3, 100 * count / most) : 0;
    const bar = svg('rect', { x: slots - series.counts.length + place + 0.1, y: 100 - height, width: 0.8, height });
    const title = svg('title', {});
    title.textContent = `${number(count)}, ${span((series.counts.length - 1 - place) * step)} ago`;
    bar.append(title);
    image.append(bar);
  });
  return el('figure', { class: `plot${kind}` }, el('figcaption', {}, el('span', {}, name), el('span', {}, `${number(total)} in all, at most ${number(most)} in ${span(step)}`)), image);
}

// The whitelist.

let shown = PAGE;
const details = new Map();
async function refreshWhitelist() {
  const list = await call('GET', `/v1/whitelist?limit=${shown}`);
  $('more').hidden = !list.next;
  $('empty').hidden = list.entries.length > 0;
  $('whitelist').hidden = list.entries.length === 0;
  fill($('whitelist').tBodies[0], () => list.entries.map(row), JSON.stringify(list.entries.map((entry) => ({ ...entry, idle_seconds: Math.floor(entry.idle_seconds / 60) }))));
  // To count the peers of an address, the tracker visits all of its memory: few at a time, those that are out of date first.
  const seenAt = (prefix) => (details.has(prefix) ? details.get(prefix).at : 0);
  const due = list.entries.map((entry) => entry.prefix).filter((prefix) => isOne(prefix) && Date.now() - seenAt(prefix) > 15000);
  due.sort((one, other) => seenAt(one) - seenAt(other));
  for (const prefix of due.slice(0, EXPLAINED)) {
    if (isEnded) return;
    await explain(prefix);
  }
}

// A prefix of several addresses has no side and no peers of its own.
function isOne(prefix) {
  const [address, length] = prefix.split('/');
  return length === (address.includes(':') ? '64' : '32');
}

async function explain(prefix) {
  const [address] = prefix.split('/');
  const { side, peers } = await call('GET', `/v1/explain/${encodeURIComponent(address)}`);
  details.set(prefix, { side, peers, at: Date.now() });
  for (const cells of document.querySelectorAll(`tr[data-prefix="${CSS.escape(prefix)}"]`)) showDetails(cells);
}
function showDetails(cells) {
  const known = details.get(cells.dataset.prefix);
  cells.children[2].textContent = known ? (known.side === 'LAN' ? 'home' : 'world') : '';
  cells.children[4].textContent = known ? number(known.peers) : '';
}

function row(entry) {
  const retires = entry.has_ended ? 'ended' : entry.retire_after_seconds === null ? 'never' : `in ${span(entry.retire_after_seconds - entry.idle_seconds)}`;
  const until = entry.until_unix ? `, ends ${new Date(entry.until_unix * 1000).toISOString().slice(0, 10)}` : '';
  const name = entry.user || 'no user';
  const cells = el('tr', { 'data-prefix': entry.prefix },
    el('td', {}, entry.user || '–', entry.ticket ? el('small', { class: 'note' }, ' by ticket') : null),
    el('td', {}, el('code', {}, entry.prefix)), el('td'), el('td', { 'data-label': 'seen' }, entry.idle_seconds < 60 ? 'now' : `${span(entry.idle_seconds)} ago`), el('td', { 'data-label': 'peers' }),
    el('td', { 'data-label': 'retires' }, retires + until),
    el('td', {}, el('button', { type: 'button', class: 'danger', 'aria-label': `Revoke ${entry.prefix}, ${name}`, onclick: () => attempt(() => revoke(entry)) }, 'Revoke')));
  showDetails(cells);
  return cells;
}

async function revoke(entry) {
  if (entry.ticket) {
    // The ticket would bring the address again.
    const ticket = `${entry.user}.${entry.ticket}`;
    if (!confirm(`Revoke the ticket of ${entry.user}? All addresses that it brought leave, and it cannot be used again.`)) return;
    await call('DELETE', '/v1/whitelist', { ticket });
  } else {
    await call('DELETE', '/v1/whitelist', { prefix: entry.prefix });
  }
  refreshLists();
  const undo = () => attempt(async () => {
    await call('POST', '/v1/whitelist', asAdded(entry));
    say(entry.ticket ? `${entry.prefix} is back. Its ticket stays revoked: invite ${entry.user} anew.` : `${entry.prefix} is back.`);
    refreshLists();
  });
  say(`${entry.prefix} is revoked.`, 'Undo', undo);
}

function asAdded(entry) {
  const added = { prefix: entry.prefix, permanent: entry.retire_after_seconds === null };
  if (entry.user) added.user = entry.user;
  if (entry.until_unix) added.until_unix = entry.until_unix;
  if (!entry.retires_by_default && entry.retire_after_seconds !== null) added.retire_after_seconds = entry.retire_after_seconds;
  return added;
}

async function allow(prefix, user) {
  const body = { prefix };
  if (user) body.user = user;
  const { replaced, prefix: added } = await call('POST', '/v1/whitelist', body);
  say(replaced ? `${added} was on the list, and is changed.` : `${added} may announce.`);
  refreshLists();
}

// The refused clients.

async function refreshRefused() {
  const { refused } = await call('GET', '/v1/refused');
  $('none-refused').hidden = refused.length > 0;
  $('refused').hidden = refused.length === 0;
  const rows = () => refused.map((client) => el('tr', {},
    el('td', {}, el('code', {}, client.address), ` ${client.side === 'LAN' ? 'home' : 'world'}`), el('td', {}, client.reason),
    el('td', {}, `${client.seconds_ago < 5 ? 'now' : `${span(client.seconds_ago)} ago`}, ${plural(client.count, 'time')}`),
    el('td', {}, client.can_be_allowed ? el('button', { type: 'button', 'aria-label': `Allow ${client.prefix}`, onclick: () => attempt(() => allow(client.prefix)) }, 'Allow') : null)));
  fill($('refused').tBodies[0], rows, JSON.stringify(refused.map((client) => ({ ...client, seconds_ago: Math.floor(client.seconds_ago / 10) }))));
}

// The swarms.

async function refreshSwarms() {
  const names = new Map();
  if (status && status.torrents.mode !== 'any') {
    const list = await call('GET', '/v1/torrents').catch(() => ({ torrents: [] }));
    for (const torrent of list.torrents) names.set(torrent.info_hash.slice(0, 40).toLowerCase(), torrent.name);
  }
  const swarms = (await call('GET', '/v1/swarms?limit=200')).swarms.filter((swarm) => swarm.seeders + swarm.leechers > 0);
  swarms.sort((one, other) => other.seeders + other.leechers - one.seeders - one.leechers);
  $('no-swarms').hidden = swarms.length > 0;
  $('swarms').hidden = swarms.length === 0;
  fill($('swarms').tBodies[0], () => swarms.slice(0, 50).map((swarm) => el('tr', {},
    el('td', {}, names.get(swarm.info_hash) || el('code', {}, swarm.info_hash)), el('td', {}, swarm.side === 'LAN' ? 'home' : 'world'),
    el('td', { 'data-label': 'seeders' }, number(swarm.seeders)), el('td', { 'data-label': 'leechers' }, number(swarm.leechers)),
    el('td', { 'data-label': 'completed' }, number(swarm.completed)))), JSON.stringify([swarms, ...names]));
}

// Invitations.

async function invite(form) {
  const { user, days, addresses } = form.elements;
  const signed = await call('POST', '/v1/tickets', { user: user.value, days: Number(days.value), addresses: Number(addresses.value) });
  const home = status.announce_urls.find((url) => url.side === 'LAN' && url.url.startsWith('http:'));
  const base = status.public_url || (home ? home.url.replace(/\/announce$/, '') : `http://${location.hostname}:6969`);
  const [link, announce] = [`${base}/login/${signed.ticket}`, `${base}/${signed.ticket}/announce`];
  const note = status.public_url ? '' : 'The links work at home only: set tickets.url or network.external_v4 to the address of this tracker for the internet.';
  const line = (name, url) => el('li', {}, el('span', {}, name), el('code', {}, url), copyButton(url, name));
  $('invitation').replaceChildren(
    el('p', {}, `The invitation of ${signed.user} is valid until ${new Date(signed.until_unix * 1000).toISOString().slice(0, 10)}, for ${plural(signed.addresses, 'address', 'addresses')} at once.`),
    el('p', { class: 'bad' }, note),
    el('ul', { class: 'rows' }, line('Link to open once', link), line('Announce URL', announce)), qr(link));
}

// A QR code of a text, as an image: ISO/IEC 18004, byte mode, error correction M, versions 1 to 20.

const QR_CHECK = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const QR_BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

function qrTotal(version) {
  const aligned = Math.floor(version / 7) + 2;
  const modules = (16 * version + 128) * version + 64;
  return (version < 2 ? modules : modules - (25 * aligned - 10) * aligned + 55 - (version < 7 ? 0 : 36)) >> 3;
}

// Multiply in the field of 256 elements of the code.
function qrTimes(x, y) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) product = (product << 1) ^ ((product >>> 7) * 0x11d) ^ (((y >>> bit) & 1) * x);
  return product;
}

function qrCheck(data, length) {
  const divisor = new Uint8Array(length);
  divisor[length - 1] = 1;
  for (let power = 0, root = 1; power < length; power += 1, root = qrTimes(root, 2)) {
    for (let place = 0; place < length; place += 1) divisor[place] = qrTimes(divisor[place], root) ^ (divisor[place + 1] || 0);
  }
  const rest = new Uint8Array(length);
  for (const byte of data) {
    const factor = byte ^ rest[0];
    rest.copyWithin(0, 1);
    rest[length - 1] = 0;
    divisor.forEach((value, place) => { rest[place] ^= qrTimes(value, factor); });
  }
  return rest;
}

function qrWords(bytes, version) {
  const [blocks, check, total] = [QR_BLOCKS[version - 1], QR_CHECK[version - 1], qrTotal(version)];
  const bits = [];
  const put = (value, length) => { for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >>> bit) & 1); };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((byte) => put(byte, 8));
  const capacity = (total - blocks * check) * 8;
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - bits.length % 8) % 8);
  for (let filler = 0xec; bits.length < capacity; filler ^= 0xfd) put(filler, 8);
  const data = Uint8Array.from({ length: capacity / 8 }, (_, place) => parseInt(bits.slice(place * 8, place * 8 + 8).join(''), 2));
  const short = Math.floor(total / blocks) - check;
  const long = total % blocks;
  const parts = [];
  for (let block = 0, from = 0; block < blocks; block += 1) {
    const length = short + (block < blocks - long ? 0 : 1);
    const part = data.slice(from, from + length);
    parts.push([part, qrCheck(part, check)]);
    from += length;
  }
  const words = [];
  for (let place = 0; place <= short; place += 1) parts.forEach(([part]) => { if (place < part.length) words.push(part[place]); });
  for (let place = 0; place < check; place += 1) parts.forEach(([, rest]) => words.push(rest[place]));
  return words;
}

function qrModules(text) {
  const bytes = new TextEncoder().encode(text);
  let version = 1;
  while (version <= 20 && (qrTotal(version) - QR_BLOCKS[version - 1] * QR_CHECK[version - 1]) * 8 < 4 + (version < 10 ? 8 : 16) + 8 * bytes.length) version += 1;
  if (version > 20) return null;
  const side = 17 + 4 * version;
  const dark = Array.from({ length: side }, () => new Array(side).fill(false));
  const fixed = Array.from({ length: side }, () => new Array(side).fill(false));
  const set = (x, y, value) => { if (x >= 0 && y >= 0 && x < side && y < side) { dark[y][x] = value; fixed[y][x] = true; } };
  for (let place = 0; place < side; place += 1) { set(6, place, place % 2 === 0); set(place, 6, place % 2 === 0); }
  for (const [cx, cy] of [[3, 3], [side - 4, 3], [3, side - 4]]) {
    for (let dy = -4; dy <= 4; dy += 1) for (let dx = -4; dx <= 4; dx += 1) {
      const ring = Math.max(Math.abs(dx), Math.abs(dy));
      set(cx + dx, cy + dy, ring !== 2 && ring !== 4);
    }
  }
  const count = version < 2 ? 0 : Math.floor(version / 7) + 2;
  const step = count && Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const centres = Array.from({ length: count }, (_, place) => (place ? side - 7 - (count - 1 - place) * step : 6));
  centres.forEach((cx, column) => centres.forEach((cy, line) => {
    const atFinder = (column === 0 && line === 0) || (column === 0 && line === count - 1) || (column === count - 1 && line === 0);
    for (let dy = -2; dy <= 2 && !atFinder; dy += 1) for (let dx = -2; dx <= 2; dx += 1) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
  }));
  const format = (mask) => {
    // Error correction M is 0, so the data is the mask alone.
    let rest = mask;
    for (let bit = 0; bit < 10; bit += 1) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
    const bits = ((mask << 10) | rest) ^ 0x5412;
    const bit = (place) => ((bits >>> place) & 1) === 1;
    for (let place = 0; place <= 5; place += 1) set(8, place, bit(place));
    set(8, 7, bit(6)); set(8, 8, bit(7)); set(7, 8, bit(8));
    for (let place = 9; place < 15; place += 1) set(14 - place, 8, bit(place));
    for (let place = 0; place < 8; place += 1) set(side - 1 - place, 8, bit(place));
    for (let place = 8; place < 15; place += 1) set(8, side - 15 + place, bit(place));
    set(8, side - 8, true);
  };
  format(0);
  if (version >= 7) {
    let rest = version;
    for (let bit = 0; bit < 12; bit += 1) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let place = 0; place < 18; place += 1) {
      const [far, near] = [side - 11 + place % 3, Math.floor(place / 3)];
      set(far, near, ((bits >>> place) & 1) === 1);
      set(near, far, ((bits >>> place) & 1) === 1);
    }
  }
  const words = qrWords(bytes, version);
  let next = 0;
  for (let right = side - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let vertical = 0; vertical < side; vertical += 1) for (let column = 0; column < 2; column += 1) {
      const x = right - column;
      const y = ((right + 1) & 2) === 0 ? side - 1 - vertical : vertical;
      if (!fixed[y][x] && next < words.length * 8) { dark[y][x] = ((words[next >>> 3] >>> (7 - (next & 7))) & 1) === 1; next += 1; }
    }
  }
  const masks = [(x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3, (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
    (x, y) => (x * y) % 2 + (x * y) % 3, (x, y) => ((x * y) % 2 + (x * y) % 3) % 2, (x, y) => ((x + y) % 2 + (x * y) % 3) % 2];
  const apply = (mask) => dark.forEach((line, y) => line.forEach((_, x) => { if (!fixed[y][x] && masks[mask](x, y) === 0) line[x] = !line[x]; }));
  // Long runs and large areas of one colour disturb a reader.
  const penalty = () => {
    let points = 0;
    for (const lines of [dark, dark[0].map((_, x) => dark.map((line) => line[x]))]) for (const line of lines) {
      let run = 0;
      line.forEach((module, place) => { run = place && module === line[place - 1] ? run + 1 : 1; points += run === 5 ? 3 : run > 5 ? 1 : 0; });
    }
    for (let y = 1; y < side; y += 1) for (let x = 1; x < side; x += 1) if (new Set([dark[y][x], dark[y - 1][x], dark[y][x - 1], dark[y - 1][x - 1]]).size === 1) points += 3;
    return points;
  };
  let best = 0;
  let least = Infinity;
  for (let mask = 0; mask < 8; mask += 1) {
    apply(mask); format(mask);
    const points = penalty();
    if (points < least) [best, least] = [mask, points];
    apply(mask);
  }
  apply(best); format(best);
  return dark;
}

function qr(text) {
  const dark = qrModules(text);
  if (!dark) return null;
  const side = dark.length + 8;
  const image = svg('svg', { viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': 'The link as a QR code', 'shape-rendering': 'crispEdges' });
  const squares = dark.flatMap((line, y) => line.map((module, x) => (module ? `M${x + 4} ${y + 4}h1v1h-1z` : '')));
  image.append(svg('rect', { width: side, height: side, fill: '#fff' }), svg('path', { d: squares.join(''), fill: '#000' }));
  return image;
}

// Torrents: BEP 3. SHA-1 is our own, because browsers have none over plain HTTP.

function sha1(bytes) {
  const blocks = new Uint8Array(((bytes.length + 72) >>> 6) << 6);
  blocks.set(bytes);
  blocks[bytes.length] = 0x80;
  const view = new DataView(blocks.buffer);
  view.setUint32(blocks.length - 8, Math.floor(bytes.length / 0x20000000));
  view.setUint32(blocks.length - 4, (bytes.length << 3) >>> 0);
  const w = new Int32Array(80);
  let [h0, h1, h2, h3, h4] = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0];
  for (let at = 0; at < blocks.length; at += 64) {
    for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + t * 4);
    for (let t = 16; t < 80; t += 1) { const x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]; w[t] = (x << 1) | (x >>> 31); }
    let [a, b, c, d, e] = [h0, h1, h2, h3, h4];
    for (let t = 0; t < 80; t += 1) {
      const f = t < 20 ? ((b & c) | (~b & d)) + 0x5a827999 : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1 : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc : (b ^ c ^ d) + 0xca62c1d6;
      const next = (((a << 5) | (a >>> 27)) + f + e + w[t]) | 0;
      e = d; d = c; c = (b << 30) | (b >>> 2); b = a; a = next;
    }
    h0 = (h0 + a) | 0; h1 = (h1 + b) | 0; h2 = (h2 + c) | 0; h3 = (h3 + d) | 0; h4 = (h4 + e) | 0;
  }
  const hash = new DataView(new ArrayBuffer(20));
  [h0, h1, h2, h3, h4].forEach((h, place) => hash.setInt32(place * 4, h));
  return new Uint8Array(hash.buffer);
}

function bencode(value) {
  const encoder = new TextEncoder();
  if (typeof value === 'number') return [encoder.encode(`i${value}e`)];
  if (typeof value === 'string') return bencode(encoder.encode(value));
  if (value instanceof Uint8Array) return [encoder.encode(`${value.length}:`), value];
  return [encoder.encode('d'), ...Object.keys(value).sort().flatMap((key) => [...bencode(key), ...bencode(value[key])]), encoder.encode('e')];
}

async function makeTorrent(form) {
  const [file, announce] = [form.elements.file.files[0], form.elements.url.value];
  if (!file.size) throw new Error('The file is empty.');
  let piece = 32768;
  while (file.size / piece > 1500 && piece < 8388608) piece *= 2;
  const pieces = new Uint8Array(Math.ceil(file.size / piece) * 20);
  for (let number = 0; number * piece < file.size; number += 1) {
    pieces.set(sha1(new Uint8Array(await file.slice(number * piece, (number + 1) * piece).arrayBuffer())), number * 20);
    $('made').textContent = `${Math.floor(100 * (number * piece) / file.size)} % of the file is read…`;
  }
  const info = { length: file.size, name: file.name, 'piece length': piece, pieces };
  const encoded = await new Blob(bencode(info)).arrayBuffer();
  const hash = [...sha1(new Uint8Array(encoded))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (status.torrents.mode === 'only') await call('POST', '/v1/torrents', { torrents: [{ info_hash: hash, name: file.name }] });
  const link = el('a', { href: URL.createObjectURL(new Blob(bencode({ announce, info }), { type: 'application/x-bittorrent' })), download: `${file.name}.torrent` }, `${file.name}.torrent`);
  $('made').replaceChildren(link, ` is ready. Open it in the client that has the file, and send it to the others. Its info-hash is ${hash}.`);
  link.click();
}

// The turns.

let events;
const refreshLists = () => Promise.allSettled([refreshWhitelist(), refreshRefused(), refreshSwarms(), refreshHistory()]);
let waiting;
const soon = () => { clearTimeout(waiting); waiting = setTimeout(refreshLists, 300); };

function listen() {
  events = new EventSource('/v1/events');
  for (const kind of ['allow', 'import', 'revoke', 'retire', 'login', 'torrents', 'refusals']) events.addEventListener(kind, soon);
}

function onSubmit(id, work) {
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    const button = $(id).querySelector('button');
    button.disabled = true;
    attempt(() => work($(id))).finally(() => { button.disabled = false; });
  });
}

onSubmit('add', async (form) => {
  await allow(form.elements.prefix.value.trim(), form.elements.user.value.trim());
  form.reset();
});
onSubmit('invite', invite);
onSubmit('make', makeTorrent);
$('more').addEventListener('click', () => { shown += PAGE; attempt(refreshWhitelist); });
$('leave').addEventListener('click', () => attempt(async () => { await call('POST', '/leave', {}); ended(); }));
for (const tab of document.querySelectorAll('[data-scale]')) {
  tab.addEventListener('click', () => {
    scale = tab.dataset.scale;
    for (const other of document.querySelectorAll('[data-scale]')) other.setAttribute('aria-pressed', other === tab);
    attempt(refreshHistory);
  });
}

async function turn(count) {
  if (isEnded) return;
  if (!document.hidden) {
    await refreshStatus();
    if (count % 5 === 0) await refreshLists();
  }
  setTimeout(turn, 2000, count + 1);
}
turn(0);
listen();
