# A stand-in for OpenWrt's /lib/functions/network.sh, with the networks of a usual router behind a DSL line.
# shellcheck shell=dash disable=SC2034 # the caller's variable

network_get_device() {
	case $2 in
		lan) export "$1=br-lan" ;;
		wan) export "$1=pppoe-wan" ;;
		*) return 1 ;;
	esac
}
