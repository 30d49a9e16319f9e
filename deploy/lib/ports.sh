# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# TCP ports of this machine, without tools that a bare system lacks.

# Below the range that the kernel gives to outgoing connections (32768 and up).
PORT_FREE_FIRST=20000
PORT_FREE_COUNT=12000
PORT_FREE_TRIES=200

declare -A PORT_TAKEN=() # by us, and perhaps not bound yet

# port_is_free PORT: nobody listens on it, on any address.
port_is_free() {
	local hex
	printf -v hex ':%04X' "$1"
	! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }'
}

# port_take PORT: do not hand it out.
port_take() {
	PORT_TAKEN[$1]=yes
}

# port_pick VARIABLE: a free port, never the same one twice.
port_pick() {
	local try
	local port
	for ((try = 0; try < PORT_FREE_TRIES; try++)); do
		port=$((PORT_FREE_FIRST + SRANDOM % PORT_FREE_COUNT))
		if [ -z "${PORT_TAKEN[$port]-}" ] && port_is_free "$port"; then
			port_take "$port"
			printf -v "$1" '%s' "$port"
			return
		fi
	done
	fail "found no free TCP port between $PORT_FREE_FIRST and $((PORT_FREE_FIRST + PORT_FREE_COUNT))"
}

# port_answers PORT PATH: an HTTP server on loopback answers PATH with 200.
port_answers() {
	local version
	local status
	# shellcheck disable=SC2034 # $REPLY
	(
		exec 9<>"/dev/tcp/127.0.0.1/$1" || exit 1
		printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&9
		read -rt 2 version status _ <&9
		while read -rt 2 -n 4096 <&9; do
			: # to its end, so that the server sees an orderly close
		done
		[[ $version == HTTP/* && $status == 200 ]]
	) 2>/dev/null
}
