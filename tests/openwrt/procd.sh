# A stand-in for OpenWrt's /lib/functions/procd.sh: it sends procd the same JSON, by the same ubus call.
# shellcheck shell=dash

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/["\\]/\\&/g')"; }

# Append the JSON in $2 to the variable named $1.
json_add() {
	eval "$1=\"\${$1}\${$1:+, }\$2\""
}

json_strings() {
	local strings='' string
	for string in "$@"; do json_add strings "$(json_string "$string")"; done
	printf '[%s]' "$strings"
}

json_table() {
	local entries='' entry
	for entry in "$@"; do json_add entries "$(json_string "${entry%%=*}"): $(json_string "${entry#*=}")"; done
	printf '{%s}' "$entries"
}

procd_lock() { :; }

procd_open_service() {
	procd_service=$1 procd_script=$2 procd_instances=''
}

procd_close_service() {
	procd_triggers=''
	service_triggers
	ubus call service "${1:-set}" "{\"name\": $(json_string "$procd_service"), \"script\": $(json_string "$procd_script"),\
 \"instances\": {$procd_instances}, \"triggers\": [$procd_triggers]}"
}

procd_open_instance() {
	procd_instance='' procd_mounts='' procd_jail='' procd_data=''
}

procd_close_instance() {
	[ -z "$procd_jail" ] || json_add procd_instance "\"jail\": {$procd_jail, \"mount\": {$procd_mounts}}"
	[ -z "$procd_data" ] || json_add procd_instance "\"data\": {$procd_data}"
	json_add procd_instances "\"instance1\": {$procd_instance}"
}

procd_set_param() {
	local name=$1 value
	shift
	case $name in
		env | data | limits) value=$(json_table "$@") ;;
		command | netdev | file | respawn | watch) value=$(json_strings "$@") ;;
		nice | term_timeout) value=$1 ;;
		reload_signal) value=$(kill -l "$1") ;;
		pidfile | user | group | seccomp | capabilities | facility) value=$(json_string "$1") ;;
		stdout | stderr | no_new_privs) value=$([ "$1" = 1 ] && echo true || echo false) ;;
		*) return 0 ;; # the real procd.sh ignores it, too
	esac
	json_add procd_instance "\"$name\": $value"
}

procd_add_jail() {
	local flag
	procd_jail="\"name\": $(json_string "$1")"
	shift
	for flag in "$@"; do json_add procd_jail "\"$flag\": true"; done
}

add_mounts() {
	local path writable=$1
	shift
	# shellcheck disable=SC2048 # procd.sh splits paths into words, too
	for path in $*; do json_add procd_mounts "$(json_string "$path"): \"$writable\""; done
}

procd_add_jail_mount() { add_mounts 0 "$@"; }

procd_add_jail_mount_rw() { add_mounts 1 "$@"; }

procd_add_mdns() {
	local service="_$1._$2.local" key="$1_$3" port=$3
	shift 3
	procd_data="\"mdns\": {\"$key\": {\"service\": \"$service\", \"port\": $port, \"txt\": $(json_strings "$@")}}"
}

procd_add_raw_trigger() {
	json_add procd_triggers "[$(json_string "$1"), [\"run_script\", $(json_string "$3"), $(json_string "$4")], $2]"
}

procd_add_reload_trigger() {
	local package
	for package in "$@"; do
		json_add procd_triggers "[\"config.change\", [\"if\", [\"eq\", \"package\", $(json_string "$package")],\
 [\"run_script\", $(json_string "$procd_script"), \"reload\"]], 1000]"
	done
}

procd_kill() {
	ubus call service delete "{\"name\": $(json_string "$1")}"
}
