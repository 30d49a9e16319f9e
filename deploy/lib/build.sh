# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Building: the daemons by Meson and Ninja, the browser application by npm. What did not change is not
# built again: Ninja sees that for C; for ui/, whose tools cannot, a hash of its sources is kept beside
# the build.

UI_DIR=$ROOT/ui

# build_daemons BUILD_DIR [MESON_OPTION…]: configure once, then build what changed.
build_daemons() {
	local dir=$1
	shift
	if [ ! -e "$dir/build.ninja" ]; then
		step "configuring $dir"
		rm -rf "$dir" # a set-up that was interrupted cannot be continued
		mkdir -p "$dir"
		build_quietly "$dir/../${dir##*/}-configure.log" meson setup "$dir" "$ROOT" "$@"
	fi
	if ! ninja -C "$dir" -n | grep -q 'no work to do'; then
		step "building the daemons"
		build_quietly "$dir/build.log" ninja -C "$dir"
	fi
}

# build_ui BUILD_DIR: npm ci and npm run build in ui/, each only when its input changed.
build_ui() {
	local dir=$1
	local packages
	local sources
	mkdir -p "$dir"
	packages=$(build_ui_packages_hash)
	if ! build_stamp_is "$UI_DIR/node_modules/.districhat-stamp" "$packages"; then
		step "fetching the packages of ui/"
		(cd "$UI_DIR" && build_quietly "$dir/npm-ci.log" npm ci --no-audit --no-fund)
		printf '%s\n' "$packages" >"$UI_DIR/node_modules/.districhat-stamp"
	fi
	sources=$(build_ui_sources_hash)
	if [ ! -e "$UI_DIR/dist/index.html" ] || ! build_stamp_is "$dir/ui.stamp" "$sources"; then
		step "building ui/"
		rm -f "$dir/ui.stamp"
		(cd "$UI_DIR" && build_quietly "$dir/ui.log" npm run build)
		printf '%s\n' "$sources" >"$dir/ui.stamp"
	fi
}

build_stamp_is() {
	[ -e "$1" ] && [ "$(<"$1")" = "$2" ]
}

build_ui_packages_hash() {
	{ node --version && cat "$UI_DIR/package.json" "$UI_DIR/package-lock.json"; } | build_hash
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
