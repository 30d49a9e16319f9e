# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a bare shell, a container or cron may leave unset.

environment_complete() {
	if [ -z "${HOME-}" ]; then
		HOME=$(getent passwd "$(id -u)" | cut -d : -f 6)
		[ -n "$HOME" ] || fail "HOME is not set and this user has no home directory: set HOME"
		export HOME
	fi
	export LC_ALL=C.UTF-8 # one language for every tool's output; always there on Debian
	XDG_STATE_HOME=${XDG_STATE_HOME:-$HOME/.local/state}
	PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/sbin:/sbin
	export PATH
}
