'use strict';
'require form';
'require uci';
'require view';

/* Sections that /etc/config/nakodo has, each with its type. */
var SECTIONS = { main: 'nakodo', access: 'access', http: 'http', network: 'network', log: 'log' };

var BYTES = {
	b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1048576, gib: 1073741824
};

var SECONDS = [
	[ /^s(ec(ond)?s?)?$/, 1 ],
	[ /^m(in(ute)?s?)?$/, 60 ],
	[ /^h(((ou)?r)s?)?$/, 3600 ],
	[ /^d(ays?)?$/, 86400 ],
	[ /^w(k|eek)?s?$/, 604800 ]
];

function size(text) {
	var parts = /^\s*(\d+)\s*([a-z]+)\s*$/i.exec(text);

	return parts ? parts[1] * BYTES[parts[2].toLowerCase()] : NaN;
}

function unitOfTime(name) {
	var unit = SECONDS.filter(function(one) { return one[0].test(name); })[0];

	return unit ? unit[1] : NaN;
}

function span(text) {
	if (!/^\s*(\d+\s*[a-z]+\s*)+$/.test(text))
		return NaN;

	return text.match(/\d+\s*[a-z]+/g).reduce(function(sum, part) {
		return sum + parseInt(part, 10) * unitOfTime(part.replace(/^\d+\s*/, ''));
	}, 0);
}

/* Return a validator of texts that `measure` reads. An empty text means the default. */
function within(measure, least, most) {
	return function(section, text) {
		var value;

		if (text == null || text === '')
			return true;
		value = measure(text);

		return (value >= measure(least) && value <= measure(most)) ||
			_('Expected a number with its unit, from %s to %s.').format(least, most);
	};
}

function interfaceName(section, text) {
	return !text || /^[^\s\/]{1,15}$/.test(text) || _('Expected the name of a network or of a device.');
}

function addTracker(map) {
	var s, o;

	s = map.section(form.TypedSection, SECTIONS.main, _('Tracker'));
	s.anonymous = true;

	o = s.option(form.Flag, 'enabled', _('Enabled'), _('Whether the tracker runs.'));
	o.default = '1';
	o.rmempty = false;

	o = s.option(form.DynamicList, 'listen', _('Listen on'),
		_('Up to 8 addresses with their ports, for HTTP and UDP. The firewall rule for the internet has a port of its own. A change restarts the tracker.'));
	o.datatype = 'ipaddrport(1)';
	o.default = [ '0.0.0.0:6969', '[::]:6969' ];

	o = s.option(form.Value, 'memory', _('Memory'),
		_('Memory for all swarms and peers, which is never exceeded. A change restarts the tracker.'));
	o.placeholder = '8 MiB';
	o.validate = within(size, '256 KiB', '1 GiB');
}

function addAccess(map) {
	var s, o;

	s = map.section(form.TypedSection, SECTIONS.access, _('Admission'));
	s.anonymous = true;

	o = s.option(form.ListValue, 'lan', _('Clients at home'));
	o.value('open', _('all'));
	o.value('whitelist', _('only those on the whitelist'));
	o.default = 'open';

	o = s.option(form.ListValue, 'wan', _('Clients on the internet'));
	o.value('whitelist', _('only those on the whitelist'));
	o.value('open', _('all'));
	o.value('closed', _('none'));
	o.default = 'whitelist';

	o = s.option(form.Value, 'capacity', _('Capacity of the whitelist'),
		_('Maximum number of entries. When it is full, new entries are refused. A change restarts the tracker.'));
	o.datatype = 'and(uinteger,range(1,65536))';
	o.placeholder = '1024';

	o = s.option(form.Value, 'retire_after', _('Retire entries after'),
		_('Idle time after which an entry leaves the whitelist, unless the entry has its own, such as 30d.'));
	o.placeholder = '30d';
	o.validate = within(span, '1s', '3650d');

	o = s.option(form.Value, 'save_every', _('Save idle times every'),
		_('Minimum time between two writes of idle times to flash, such as 1h. Changes of the whitelist are written at once.'));
	o.placeholder = '1h';
	o.validate = within(span, '1s', '7d');
}

function addNetwork(map) {
	var s, o;

	s = map.section(form.TypedSection, SECTIONS.network, _('Network'));
	s.anonymous = true;

	o = s.option(form.DynamicList, 'interface', _('To the internet'),
		_('Networks or devices that face the internet, such as wan. Peers on the internet receive its address in place of the local ones, and its neighbours are never local.'));
	o.value('wan');
	o.validate = interfaceName;

	o = s.option(form.DynamicList, 'lan_interfaces', _('To the local networks'),
		_('Networks or devices of the local side, such as lan. Without them, each interface with a private IPv4 address is one.'));
	o.value('lan');
	o.validate = interfaceName;

	o = s.option(form.Value, 'external_v4', _('External IPv4 address'),
		_('The address under which peers outside reach local peers. Without it, that of the interface to the internet.'));
	o.datatype = 'ip4addr("nomask")';

	o = s.option(form.Value, 'external_v6', _('External IPv6 address'),
		_('The address under which peers outside reach local peers that have a local IPv6 address only.'));
	o.datatype = 'ip6addr("nomask")';
}

function addLimits(map) {
	var s, o;

	s = map.section(form.TypedSection, SECTIONS.http, _('HTTP'));
	s.anonymous = true;

	o = s.option(form.Value, 'connections', _('Connections'),
		_('Maximum number of open connections; each takes 18 KiB while in use. A change restarts the tracker.'));
	o.datatype = 'and(uinteger,range(1,4096))';
	o.placeholder = '128';

	s = map.section(form.TypedSection, SECTIONS.log, _('Log'));
	s.anonymous = true;

	o = s.option(form.ListValue, 'level', _('Level'), _('Least urgent level that is logged.'));
	o.value('off', _('nothing'));
	o.value('error', _('errors'));
	o.value('warn', _('warnings'));
	o.value('info', _('changes of the whitelist'));
	o.value('debug', _('debugging'));
	o.value('trace', _('everything'));
	o.default = 'info';
}

return view.extend({
	/* Add the sections that an own configuration lacks. They are saved with the first change. */
	load: function() {
		return uci.load('nakodo').then(function() {
			Object.keys(SECTIONS).forEach(function(name) {
				if (uci.sections('nakodo', SECTIONS[name]).length === 0)
					uci.add('nakodo', SECTIONS[name], name);
			});
		});
	},

	render: function() {
		var main = uci.sections('nakodo', 'nakodo')[0];
		var map = new form.Map('nakodo', _('nakodo'),
			_('Options of the BitTorrent tracker. An empty option has its default. The tracker keeps its current options if the new ones are wrong, and "logread -e nakodo" prints the reason.'));

		addTracker(map);
		addAccess(map);
		addNetwork(map);
		addLimits(map);

		return map.render().then(function(node) {
			if (main.config_file)
				node.insertBefore(E('p', { 'class': 'alert-message warning' },
					[ _('The file %s replaces all options on this page but the first.').format(main.config_file) ]), node.firstChild);

			return node;
		});
	}
});
