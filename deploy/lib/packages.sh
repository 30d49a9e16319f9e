# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Debian packages: which of the lists in deploy/packages are missing, and installing those alone.
# Nothing here runs apt, sudo or the network when all is there.

PACKAGES_DIR=$ROOT/deploy/packages
NODE_VERSION_MIN=18
APT_LOCK_WAIT_S=300

# packages_listed LIST…: the names in these lists.
packages_listed() {
	local list
	for list in "$@"; do
		sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$PACKAGES_DIR/$list"
	done
}

# packages_missing LIST…: the names that are not installed.
packages_missing() {
	packages_listed "$@" | sort -u | comm -23 - <(packages_installed)
}

packages_installed() {
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query --show --showformat '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p' | sort -u
}

# Whether a Node.js that can build ui/ is on PATH, Debian's or another.
packages_node_is_there() {
	local version
	command -v npm >/dev/null && version=$(node --version 2>/dev/null) || return 1
	version=${version#v}
	[ "${version%%.*}" -ge "$NODE_VERSION_MIN" ]
}

# packages_install LIST…: install what is missing. `ui` is left out where Node.js is there already.
packages_install() {
	local lists=()
	local list
	local missing
	command -v dpkg-query >/dev/null ||
		fail "this is not a Debian system: install what deploy/packages lists, then use --no-install"
	for list in "$@"; do
		if [ "$list" != ui ] || ! packages_node_is_there; then
			lists+=("$list")
		fi
	done
	mapfile -t missing < <(packages_missing "${lists[@]}")
	if [ "${#missing[@]}" -eq 0 ]; then
		return
	fi
	step "installing ${#missing[@]} packages: ${missing[*]}"
	packages_apt update ||
		warn "apt-get update failed; trying with the package lists that are there"
	packages_apt install --yes --no-install-recommends "${missing[@]}" ||
		fail "these packages could not be installed: ${missing[*]}"
	if [[ " ${lists[*]} " == *" ui "* ]] && ! packages_node_is_there; then
		fail "ui/ needs Node.js $NODE_VERSION_MIN or later; 'node' on PATH is $(node --version || echo missing)"
	fi
}

# apt-get as root, without questions. Proxies of this shell reach it; sudo would drop them.
packages_apt() {
	local become_root=()
	local setting
	local settings=(DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8)
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			fail "packages are missing and there is no sudo; run this as root once: apt-get $*"
		become_root=(sudo)
	fi
	for setting in http_proxy https_proxy no_proxy; do
		if [ -n "${!setting-}" ]; then
			settings+=("$setting=${!setting}")
		fi
	done
	"${become_root[@]}" env "${settings[@]}" \
		apt-get --quiet=2 -o "DPkg::Lock::Timeout=$APT_LOCK_WAIT_S" -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null
}
