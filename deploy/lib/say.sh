# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the commands say to people. Progress goes to standard output, complaints to standard error.

say() {
	printf '%s\n' "$*"
}

# A step that may take a while.
step() {
	printf -- '-- %s\n' "$*"
}

warn() {
	printf '%s: warning: %s\n' "${0##*/}" "$*" >&2
}

# fail TEXT: end with status 1, saying why.
fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# wrong_usage TEXT: end with status 2, saying why.
wrong_usage() {
	printf '%s: %s (see %s --help)\n' "${0##*/}" "$*" "$0" >&2
	exit 2
}
