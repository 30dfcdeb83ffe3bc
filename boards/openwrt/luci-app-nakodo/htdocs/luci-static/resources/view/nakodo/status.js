'use strict';
'require dom';
'require fs';
'require poll';
'require rpc';
'require uci';
'require ui';
'require view';

/*
 * LuCI reads a bare string as HTML. Pass every text in an array, which makes a text node: user names and messages come
 * from the tracker.
 */

var PROGRAM = '/usr/bin/nakodo';

/* The list of a large site has thousands of entries; more rows make a slow browser wait. */
var MOST_ROWS = 200;

var SECONDS_BETWEEN_POLLS = 5;

var callServiceList = rpc.declare({
	object: 'service',
	method: 'list',
	params: [ 'name' ],
	expect: { '': {} }
});

function isServiceRunning(services) {
	var instances = (services.nakodo || {}).instances || {};

	return Object.keys(instances).some(function(name) { return instances[name].running; });
}

function isEnabled() {
	var main = uci.sections('nakodo', 'nakodo')[0] || {};

	return [ '0', 'off', 'false', 'no', 'disabled' ].indexOf(main.enabled) < 0;
}

/* Run a command, and return its output. Its message becomes the error. */
function run(args) {
	return fs.exec(PROGRAM, args).then(function(result) {
		if (result.code !== 0)
			throw new Error((result.stderr || '').trim().replace(/^nakodo: /, '') ||
				_('The command ended with the code %d.').format(result.code));

		return (result.stdout || '').trim();
	});
}

/* Read the whitelist past ubus, which limits an answer to 256 KiB. */
function readEntries() {
	return fs.exec_direct(PROGRAM, [ 'list', '--json' ], 'json').then(function(list) { return list.entries; });
}

/* Read everything that the page shows. An error is a part of the result, so that the page can show it. */
function read() {
	var service = L.resolveDefault(callServiceList('nakodo'), {});
	var answers = run([ 'status', '--json' ]).then(function(status) {
		return readEntries().then(function(entries) {
			return { status: JSON.parse(status), entries: entries };
		});
	}).catch(function(error) { return { error: error.message }; });

	return Promise.all([ service, answers ]).then(function(both) {
		var state = both[1];

		if (state.error && !isServiceRunning(both[0]))
			return { stopped: true };

		return state;
	});
}

function brief(seconds) {
	var units = [ [ 86400, 'd' ], [ 3600, 'h' ], [ 60, 'm' ], [ 1, 's' ] ];
	var parts = [];

	units.forEach(function(unit) {
		if (seconds >= unit[0])
			parts.push(Math.floor(seconds / unit[0]) + unit[1]);
		seconds %= unit[0];
	});

	return parts.slice(0, 2).join(' ') || '0s';
}

function bytes(count) {
	var units = [ [ 1073741824, 'GiB' ], [ 1048576, 'MiB' ], [ 1024, 'KiB' ] ];
	var unit = units.filter(function(one) { return count >= one[0]; })[0];

	return unit ? (Math.floor(count * 10 / unit[0]) / 10).toFixed(1) + ' ' + unit[1] : '%d B'.format(count);
}

function retiresIn(entry) {
	if (entry.retire_after_seconds == null)
		return _('never');

	return entry.retire_after_seconds > entry.idle_seconds
		? brief(entry.retire_after_seconds - entry.idle_seconds) : _('now');
}

function ends(entry) {
	var date;

	if (entry.until_unix == null)
		return '-';

	date = new Date(entry.until_unix * 1000);
	if (isNaN(date))
		return _('after all dates');

	return entry.has_ended ? _('ended on %s').format(date.toISOString()) : date.toISOString();
}

function figures(status) {
	var memory = status.memory;
	var inUse = memory.budget_octets * memory.lines_in_use / memory.lines;

	return [
		[ _('Version'), status.version ],
		[ _('Running for'), brief(status.uptime_seconds) ],
		[ _('Peers'), memory.peers ],
		[ _('Seeders'), memory.seeders ],
		[ _('Leechers'), memory.leechers ],
		[ _('Swarms'), memory.swarms ],
		[ _('Memory in use'), _('%s of %s').format(bytes(inUse), bytes(memory.budget_octets)) ],
		[ _('Entries on the whitelist'), _('%d of %d').format(status.whitelist.entries, status.whitelist.capacity) ],
		[ _('Written to flash'), bytes(status.flash.octets_written) ]
	];
}

function disk(status) {
	var texts = [];

	if (status.disk.failing)
		texts.push(_('The disk refuses changes of the whitelist: %s').format(status.disk.failing));
	if (status.disk.export_failing)
		texts.push(_('The second copy of the whitelist cannot be written: %s').format(status.disk.export_failing));
	if (status.disk.recovered)
		texts.push(_('The whitelist was restored at the start: %s').format(status.disk.recovered));
	if (status.disk.failures > 0)
		texts.push(_('Writing to the disk failed %d times since the start.').format(status.disk.failures));

	return texts;
}

/* Return the sentences that need attention. */
function warnings(state) {
	var texts;

	if (state.stopped && !isEnabled())
		return [ _('nakodo is switched off. Enable it in the options, then save and apply.') ];
	if (state.stopped)
		return [ _('nakodo is not running. Start it under System, Startup, or with "service nakodo start". "logread -e nakodo" prints the reason for which it stopped.') ];
	if (state.error)
		return [ _('nakodo does not answer: %s').format(state.error) ];

	texts = disk(state.status).concat(state.status.warnings);
	if (state.status.whitelist.entries >= state.status.whitelist.capacity)
		texts.push(_('The whitelist is full. Revoke entries, or raise its capacity in the options.'));

	return texts;
}

function figureRow(figure) {
	return E('tr', { 'class': 'tr' }, [
		E('td', { 'class': 'td left', 'width': '33%' }, [ figure[0] ]),
		E('td', { 'class': 'td left' }, [ figure[1] ])
	]);
}

/* Return the titles and the texts of an entry's cells. */
function entryCells(entry) {
	return [
		[ _('Prefix'), entry.prefix ],
		[ _('User'), entry.user == null ? '-' : entry.user ],
		[ _('Idle for'), brief(entry.idle_seconds) ],
		[ _('Retires in'), retiresIn(entry) ],
		[ _('Ends'), ends(entry) ]
	];
}

function entryHeading() {
	var titles = [ _('Prefix'), _('User'), _('Idle for'), _('Retires in'), _('Ends'), _('Action') ];

	return E('tr', { 'class': 'tr table-titles' }, titles.map(function(title) {
		return E('th', { 'class': 'th left' }, [ title ]);
	}));
}

function notify(text, style) {
	ui.addNotification(null, E('p', { 'style': 'white-space:pre-wrap' }, [ text ]), style);
}

function refused(error) {
	notify(error.message, 'danger');
}

return view.extend({
	load: function() {
		return uci.load('nakodo').then(read);
	},

	render: function(state) {
		this.isReadonly = !L.hasViewPermission() || null;
		this.warnings = E('div');
		this.figures = E('table', { 'class': 'table', 'id': 'nakodo-figures' });
		this.entries = E('table', { 'class': 'table', 'id': 'nakodo-entries' });
		this.count = E('p', { 'id': 'nakodo-count' });
		this.filter = E('input', {
			'type': 'text', 'class': 'cbi-input-text', 'id': 'nakodo-filter',
			'input': L.bind(function() { this.showEntries(); }, this)
		});
		this.show(state);
		poll.add(L.bind(this.refresh, this), SECONDS_BETWEEN_POLLS);

		return E('div', { 'class': 'cbi-map' }, [
			E('h2', {}, [ _('nakodo') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('The BitTorrent tracker of this router, and the addresses that it admits.') ]),
			this.warnings,
			E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ _('Status') ]), this.figures ]),
			E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ _('Add an address') ]), this.addressForm() ]),
			E('div', { 'class': 'cbi-section' }, [
				E('h3', {}, [ _('Whitelist') ]),
				E('div', { 'class': 'cbi-value' }, [
					E('label', { 'class': 'cbi-value-title', 'for': 'nakodo-filter' }, [ _('Show only') ]),
					E('div', { 'class': 'cbi-value-field' }, [
						this.filter,
						E('div', { 'class': 'cbi-value-description' }, [ _('A part of a prefix or of a user name.') ])
					])
				]),
				this.count,
				this.entries
			])
		]);
	},

	addressForm: function() {
		this.address = E('input', { 'type': 'text', 'class': 'cbi-input-text', 'id': 'nakodo-address' });
		this.user = E('input', { 'type': 'text', 'class': 'cbi-input-text', 'id': 'nakodo-user' });

		return E('div', {}, [
			E('div', { 'class': 'cbi-value' }, [
				E('label', { 'class': 'cbi-value-title', 'for': 'nakodo-address' }, [ _('Address or prefix') ]),
				E('div', { 'class': 'cbi-value-field' }, [
					this.address,
					E('div', { 'class': 'cbi-value-description' }, [ _('Such as 203.0.113.7 or 2001:db8:1:2::/64. A bare IPv6 address means its /64.') ])
				])
			]),
			E('div', { 'class': 'cbi-value' }, [
				E('label', { 'class': 'cbi-value-title', 'for': 'nakodo-user' }, [ _('User') ]),
				E('div', { 'class': 'cbi-value-field' }, [
					this.user,
					E('div', { 'class': 'cbi-value-description' }, [ _('A name of at most 32 bytes, or nothing.') ])
				])
			]),
			E('div', { 'class': 'cbi-page-actions' }, [
				E('button', {
					'class': 'cbi-button cbi-button-add', 'id': 'nakodo-add', 'disabled': this.isReadonly,
					'click': ui.createHandlerFn(this, 'handleAdd')
				}, [ _('Add') ])
			])
		]);
	},

	show: function(state) {
		this.state = state;
		dom.content(this.warnings, warnings(state).map(function(text) {
			return E('p', { 'class': 'alert-message warning', 'style': 'white-space:pre-wrap' }, [ text ]);
		}));
		dom.content(this.figures, [ [ _('State'), state.status ? _('running') : _('not running') ] ]
			.concat(state.status ? figures(state.status) : []).map(figureRow));
		this.showEntries();
	},

	showEntries: function() {
		var wanted = this.filter.value;
		var entries = (this.state.entries || []).filter(function(entry) {
			return entry.prefix.indexOf(wanted) >= 0 || (entry.user || '').indexOf(wanted) >= 0;
		});
		var shown = entries.slice(0, MOST_ROWS);
		var counts = _('%d of %d entries are shown.').format(shown.length, (this.state.entries || []).length);

		dom.content(this.count, [ this.state.entries ? counts : '' ]);
		this.showRows(shown);
	},

	/* Keep the rows when only times change, so that a button does not vanish under the pointer or lose its focus. */
	showRows: function(entries) {
		var names = JSON.stringify(entries.map(function(entry) { return [ entry.prefix, entry.user ]; }));

		if (names !== this.names)
			dom.content(this.entries, [ entryHeading() ].concat(entries.map(L.bind(this.entryRow, this))));
		else
			entries.forEach(L.bind(function(entry, index) {
				entryCells(entry).forEach(function(cell, column) {
					this.entries.rows[index + 1].cells[column].textContent = cell[1];
				}, this);
			}, this));
		this.names = names;
	},

	entryRow: function(entry) {
		return E('tr', { 'class': 'tr' }, entryCells(entry).map(function(cell) {
			return E('td', { 'class': 'td left', 'data-title': cell[0], 'style': 'white-space:pre-wrap' }, [ cell[1] ]);
		}).concat([
			E('td', { 'class': 'td left cbi-section-actions' }, [
				E('button', {
					'class': 'cbi-button cbi-button-remove', 'disabled': this.isReadonly,
					'aria-label': _('Revoke %s').format(entry.prefix),
					'click': ui.createHandlerFn(this, 'handleRevoke', entry)
				}, [ _('Revoke') ])
			])
		]));
	},

	refresh: function() {
		return read().then(L.bind(this.show, this));
	},

	/* Run a command that changes the whitelist, show its answer, and read the whitelist again. */
	change: function(args) {
		return run(args).then(L.bind(function(answer) {
			notify(answer, 'info');

			return this.refresh();
		}, this), refused);
	},

	handleAdd: function() {
		var address = this.address.value.trim();
		var user = this.user.value;
		var args = [ 'allow' ];

		if (address === '') {
			notify(_('Enter an address.'), 'danger');

			return Promise.resolve();
		}

		/*
		 * The permission of this command ends with a wildcard. The tracker takes no option after --, and --config only
		 * once, so that the wildcard permits no other file.
		 */
		if (user !== '')
			args.push('--config=/etc/nakodo/nakodo.toml', '--user=' + user);

		return this.change(args.concat([ '--', address ]));
	},

	handleRevoke: function(entry) {
		var question = entry.user == null ? _('Revoke %s?').format(entry.prefix)
			: _('Revoke %s of the user %s?').format(entry.prefix, entry.user);

		ui.showModal(_('Revoke an entry'), [
			E('p', { 'style': 'white-space:pre-wrap' }, [ question ]),
			E('p', {}, [ _('Its peers leave the swarms at once, and the tracker refuses them from then on.') ]),
			E('div', { 'class': 'right' }, [
				E('button', { 'class': 'cbi-button', 'click': ui.hideModal }, [ _('Cancel') ]),
				' ',
				E('button', {
					'class': 'cbi-button cbi-button-negative important',
					'click': ui.createHandlerFn(this, function() {
						return this.change([ 'revoke', '--', entry.prefix ]).then(ui.hideModal, ui.hideModal);
					})
				}, [ _('Revoke') ])
			])
		]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
