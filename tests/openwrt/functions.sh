# A stand-in for the parts of OpenWrt's /lib/functions.sh and /lib/config/uci.sh that our files use. It is written from
# the documentation, https://openwrt.org/docs/guide-developer/config-scripting, so the test needs no OpenWrt code.
# shellcheck shell=dash disable=SC2154 # the caller sets $root and $pkgname

reset_cb() {
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb

package() { :; }

config() {
	CONFIG_SECTION=$2
	config_cb "$1" "$2"
}

option() { option_cb "$1" "$2"; }

list() { list_cb "$1" "$2"; }

config_load() {
	local exported
	CONFIG_SECTION=''
	exported=$(/sbin/uci -S -n export "$1" 2>/dev/null) || return 1
	eval "$exported"
	[ -z "$CONFIG_SECTION" ] || config_cb
}

get_bool() {
	case $1 in
		1 | on | true | yes | enabled) echo 1 ;;
		0 | off | false | no | disabled) echo 0 ;;
		*) echo "$2" ;;
	esac
}

# Add the users that a package requires, NAME=NUMBER:GROUP=NUMBER, from opkg's control file or apk's notes.
add_group_and_user() {
	local wanted user group
	wanted=$(sed -n 's/^Require-User: *//p' "$root/usr/lib/opkg/info/$pkgname.control" 2>/dev/null)
	[ ! -f "$root/lib/apk/packages/$pkgname.rusers" ] || wanted=$(cat "$root/lib/apk/packages/$pkgname.rusers")
	[ -n "$wanted" ] || return 0
	user=${wanted%%:*} group=${wanted#*:}
	grep -q "^${group%=*}:" "$root/etc/group" || echo "${group%=*}:x:${group#*=}:${user%=*}" >>"$root/etc/group"
	grep -q "^${user%=*}:" "$root/etc/passwd" ||
		echo "${user%=*}:x:${user#*=}:${group#*=}:${user%=*}:/var/run/${user%=*}:/bin/false" >>"$root/etc/passwd"
}

files_of_package() {
	cat "$root/usr/lib/opkg/info/$pkgname.list" "$root/lib/apk/packages/$pkgname.list" 2>/dev/null
}

default_postinst() {
	local file
	[ ! -e "$root/usr/lib/opkg/info/$pkgname.list" ] || add_group_and_user "$pkgname"
	for file in $(files_of_package | grep '^/etc/uci-defaults/'); do
		# shellcheck source=/dev/null
		[ -n "$root" ] || { ([ -f "$file" ] && cd "$(dirname "$file")" && . "$file") && rm -f "$file"; }
	done
	for file in $(files_of_package | grep '^/etc/init.d/'); do
		if [ -n "$root" ]; then
			IPKG_INSTROOT=$root sh "$root/etc/rc.common" "$root$file" enable
		else
			[ "$PKG_UPGRADE" = 1 ] || "$file" enable
			"$file" start
		fi
	done
}

default_prerm() {
	local file
	for file in $(files_of_package | grep '^/etc/init.d/'); do
		[ -z "$root" ] || continue
		[ "$PKG_UPGRADE" = 1 ] || "$file" disable
		"$file" stop
	done
}
