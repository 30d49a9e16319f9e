#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Compares generated files with the committed ones, or rewrites them:
#
#   golden.sh check|write DESCRIBE SOURCE_ROOT
set -eu

mode=$1
describe=$2
root=$3
status=0
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT

# golden FILE OPTION...
golden() {
	file=$root/$1
	shift
	"$describe" "$@" >"$fresh"
	test -s "$fresh"
	if [ "$mode" = write ]; then
		cat "$fresh" >"$file"
	elif ! diff -u "$file" "$fresh"; then
		echo "golden: $file is not what the tables say; run: ninja regenerate" >&2
		status=1
	fi
}

golden docs/protocol.md
golden proto/vectors.json --vectors
golden clients/python/districhat/protocol.json --table
exit "$status"
