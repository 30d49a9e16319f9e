# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Building: the daemons by Meson and Ninja, the browser application by npm. What did not change is not
# built again: Ninja sees that for C; for the rest, whose tools cannot, a hash of the input is kept.

UI_DIR=$ROOT/ui

# build_daemons BUILD_DIR [MESON_OPTION…]: configure where that was not done so before, build what changed.
build_daemons() {
	local dir=$1
	local options="${CC-} $*"
	shift
	if ! build_stamp_is "$dir/options.stamp" "$options"; then
		step "configuring $dir"
		rm -rf "$dir"
		mkdir -p "$dir"
		build_quietly "$dir.log" meson setup "$dir" "$ROOT" "$@"
		printf '%s\n' "$options" >"$dir/options.stamp"
	fi
	if ! ninja -C "$dir" -n | grep -q 'no work to do'; then
		step "building the daemons"
		build_quietly "$dir.log" ninja -C "$dir"
	fi
}

# Build the browser application into ui/dist, if its sources changed.
build_ui() {
	local stamp=$ROOT/build/ui.stamp
	local sources
	build_node_packages "$UI_DIR"
	sources=$(build_ui_sources_hash)
	if [ ! -e "$UI_DIR/dist/index.html" ] || ! build_stamp_is "$stamp" "$sources"; then
		step "building ui/"
		rm -f "$stamp"
		(cd "$UI_DIR" && build_quietly "$ROOT/build/ui.log" npm run build)
		printf '%s\n' "$sources" >"$stamp"
	fi
}

# build_node_packages DIR: npm ci, if the lock file or Node.js changed.
build_node_packages() {
	local stamp=$1/node_modules/.districhat-stamp
	local packages
	packages=$({ node --version && cat "$1/package.json" "$1/package-lock.json"; } | build_hash)
	if ! build_stamp_is "$stamp" "$packages"; then
		step "fetching the packages of ${1#"$ROOT/"}/"
		(cd "$1" && build_quietly "$ROOT/build/npm.log" npm ci --no-audit --no-fund)
		printf '%s\n' "$packages" >"$stamp"
	fi
}

# One build at a time in this repository: build_lock; …; build_unlock.
build_lock() {
	mkdir -p "$ROOT/build" || fail "cannot write to $ROOT: clone it to a place of your own"
	exec {BUILD_LOCK_FD}>"$ROOT/build/lock"
	if ! flock --nonblock "$BUILD_LOCK_FD"; then
		step "waiting for another build here"
		flock "$BUILD_LOCK_FD"
	fi
}

build_unlock() {
	exec {BUILD_LOCK_FD}>&-
}

build_stamp_is() {
	[ -e "$1" ] && [ "$(<"$1")" = "$2" ]
}

build_ui_sources_hash() {
	(cd "$UI_DIR" && find . \( -path ./node_modules -o -path ./dist \) -prune -o -type f -print0 |
		sort -z | xargs -0 sha256sum) | build_hash
}

build_hash() {
	sha256sum | cut -d ' ' -f 1
}

# build_quietly LOG COMMAND…: show its output only when it fails.
build_quietly() {
	local log=$1
	shift
	if ! "$@" >"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" >&2
		fail "'$*' failed; all of its output is in $log"
	fi
}
