# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# One lib/keep per daemon, started and stopped in order.
#
# Every keep runs in a session of its own, so that Ctrl+C in the terminal reaches deploy/up alone and
# the daemons are stopped in the order chosen here, not all at once.

KEEP=$ROOT/deploy/lib/keep
STOP_S=12 # a daemon gives itself 10 s (services/service.h)

declare -A KEEPER=() # name of the node → process id of its keep
SUPERVISE_STOPPING=no
SUPERVISE_BELL=

# supervise_start NODE PROGRAM [ARGUMENT…]: in $RUN_DIR, logging to $LOG_DIR.
supervise_start() {
	local node=$1
	shift
	setsid setpriv --pdeathsig TERM -- \
		"$KEEP" "$node" "$RUN_DIR" "$LOG_DIR/$node.log" "$STOP_S" "$@" </dev/null &
	KEEPER[$node]=$!
}

# Come back when supervise_interrupt was called (status 0) or when a keep ended by itself (status 1).
# Interrupting ends the bell, so that a signal just before `wait` is not slept through.
supervise_until_interrupted() {
	while [ "$SUPERVISE_STOPPING" = no ] && supervise_is_whole; do
		{ wait -n "$SUPERVISE_BELL" "${KEEPER[@]}"; } 2>/dev/null
	done
	[ "$SUPERVISE_STOPPING" = yes ]
}

# supervise_pause SECONDS: sleep, but not through an interruption.
supervise_pause() {
	sleep "$1" &
	{ wait -n "$SUPERVISE_BELL" "$!"; } 2>/dev/null
}

# Whether every keep is there. They never end on their own, but for settings that a daemon refused.
supervise_is_whole() {
	local keeper
	for keeper in "${KEEPER[@]}"; do
		kill -0 "$keeper" 2>/dev/null || return 1
	done
}

# Answer SIGINT, SIGTERM and SIGHUP: the first begins the stop, another one after a second ends
# everything at once. (timeout(1), for one, sends its signal twice in a row and means it once.)
supervise_begin() {
	setpriv --pdeathsig KILL -- sleep infinity &
	SUPERVISE_BELL=$!
	trap supervise_interrupt INT TERM HUP
}

supervise_interrupt() {
	if [ "$SUPERVISE_STOPPING" = no ]; then
		SUPERVISE_STOPPING=yes
		supervise_stopping_since=$SECONDS
		kill -KILL "$SUPERVISE_BELL" 2>/dev/null || true
	elif [ "$((SECONDS - supervise_stopping_since))" -gt 1 ] && [ "${#KEEPER[@]}" -gt 0 ]; then
		kill -USR1 "${KEEPER[@]}" 2>/dev/null || true
	fi
}

# The bell is not needed any more; reap it, or bash reports its end.
supervise_silence_bell() {
	{ kill -KILL "$SUPERVISE_BELL" || true; wait "$SUPERVISE_BELL" || true; } 2>/dev/null
}

# supervise_stop NODE…: these together; come back when all have ended. Status 1 unless all ended in order.
supervise_stop() {
	local node
	local keeper
	local result=0
	for node in "$@"; do
		[ -z "${KEEPER[$node]-}" ] || kill -TERM "${KEEPER[$node]}" 2>/dev/null
	done
	for node in "$@"; do
		keeper=${KEEPER[$node]-}
		[ -n "$keeper" ] || continue
		while kill -0 "$keeper" 2>/dev/null; do
			{ wait "$keeper"; } 2>/dev/null
		done
		{ wait "$keeper"; } 2>/dev/null || result=1
		unset "KEEPER[$node]"
	done
	return "$result"
}
