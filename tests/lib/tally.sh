# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Running the runners, and adding up what they report. Whatever does not end in time, ends with an error
# without naming a failed test, or reports no test at all, counts as one failure.

TALLY_PASSED=0
TALLY_FAILED=0
TALLY_LINES_SHOWN=40

# tally_runner LAYER LIMIT_S KIND REPORT COMMAND…: run it; its report (see count.py) says how many passed.
tally_runner() {
	local layer=$1
	local limit_s=$2
	local kind=$3
	local report=$4
	local log=$LOG_DIR/$layer.log
	local began=$SECONDS
	local status=0
	local counts
	local numbers
	shift 4
	rm -f "$report"
	timeout --kill-after=20 "$limit_s" "$@" >"$log" 2>&1 </dev/null || status=$?
	if ! counts=$("$COUNT" "$kind" "$report" 2>&1); then
		tally_add "$layer" 0 1 0 "$((SECONDS - began))" "$(tally_end "$status" "$limit_s"), $counts"
		tally_show "$log"
		return
	fi
	read -ra numbers <<<"${counts%%$'\n'*}"
	if [ "$status" -ne 0 ] && [ "${numbers[1]}" -eq 0 ]; then
		numbers[1]=1
		counts+=$'\n'$(tally_end "$status" "$limit_s")
	fi
	tally_add "$layer" "${numbers[@]}" "$((SECONDS - began))"
	if [ "${numbers[1]}" -gt 0 ]; then
		sed '1d; s/^/    failed: /' <<<"$counts"
		tally_show "$log"
	fi
}

# tally_check LAYER NAME LIMIT_S COMMAND…: one test, which passes if the command does.
tally_check() {
	local layer=$1
	local name=$2
	local limit_s=$3
	local log=$LOG_DIR/$layer-$name.log
	local began=$SECONDS
	local status=0
	shift 3
	timeout --kill-after=20 "$limit_s" "$@" >"$log" 2>&1 </dev/null || status=$?
	if [ "$status" -eq 0 ]; then
		tally_add "$layer: $name" 1 0 0 "$((SECONDS - began))"
	else
		tally_add "$layer: $name" 0 1 0 "$((SECONDS - began))" "$(tally_end "$status" "$limit_s")"
		tally_show "$log"
	fi
}

# tally_add TITLE PASSED FAILED SKIPPED SECONDS [REMARK]
tally_add() {
	local skipped=
	TALLY_PASSED=$((TALLY_PASSED + $2))
	TALLY_FAILED=$((TALLY_FAILED + $3))
	[ "$4" -eq 0 ] || skipped=", $4 skipped"
	printf '%-24s %5d passed, %d failed%s (%d s)%s\n' "$1" "$2" "$3" "$skipped" "$5" "${6:+: $6}"
}

tally_end() {
	case $1 in
	0) printf 'ended well' ;;
	124 | 137) printf 'did not end within %s s' "$2" ;;
	*) printf 'ended with status %s' "$1" ;;
	esac
}

tally_show() {
	tail -n "$TALLY_LINES_SHOWN" "$1" | sed 's/^/    | /'
	printf '    all of it: %s\n' "$1"
}

# The last line of every run. Status 1 if anything failed, or if nothing ran.
tally_conclude() {
	printf '\n%d passed, %d failed\n' "$TALLY_PASSED" "$TALLY_FAILED"
	[ "$TALLY_FAILED" -eq 0 ] && [ "$TALLY_PASSED" -gt 0 ]
}
