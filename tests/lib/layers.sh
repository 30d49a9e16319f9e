# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The layers of tests, one function each; what each needs first is in LAYER_NEEDS.

# shellcheck disable=SC2034 # tests/run uses these
LAYERS=(style architecture commands checker clients unit golden ui integration browser model fuzz)
# shellcheck disable=SC2034
LAYERS_QUICK=(style architecture commands checker clients unit golden ui)

# shellcheck disable=SC2034
declare -A LAYER_NEEDS=(
	[unit]=daemons
	[golden]=daemons
	[ui]=ui
	[integration]="daemons ui"
	[browser]="daemons ui"
)

# Debian's Python, which has the modules of deploy/packages/test; another may come first on PATH.
PYTEST=(/usr/bin/python3 -m pytest -q -p no:cacheprovider)

layer_style() {
	mapfile -t c_files < <(layer_find \( -name '*.c' -o -name '*.h' \))
	mapfile -t scripts < <(layer_scripts)
	tally_check style clang-format 60 clang-format --dry-run --Werror "${c_files[@]}"
	tally_check style shellcheck 60 shellcheck --external-sources "${scripts[@]}"
	if [ "$QUICK" = no ] && [ -e "$BUILD_DIR/compile_commands.json" ]; then
		tally_check style clang-tidy 400 run-clang-tidy -quiet -p "$BUILD_DIR" \
			"^$ROOT/(proto|services|gateway|registry|roomd|storaged|cli)/"
	fi
}

layer_find() {
	(cd "$ROOT" && find . \( -name .git -o -name node_modules -o -name dist -o -path './build*' \) -prune \
		-o -type f "$@" -print | sort)
}

layer_scripts() {
	layer_find \( -name '*.sh' -o -perm -u+x \) | while read -r file; do
		case $file in
		*.sh) printf '%s\n' "$file" ;;
		*) ! head -n 1 "$ROOT/$file" | grep -aqE '^#!.*[ /](ba)?sh$' || printf '%s\n' "$file" ;;
		esac
	done
}

layer_architecture() {
	layer_pytest architecture 60 tests/architecture
}

# The two commands: deploy/up with stand-ins for the daemons, and what tests/run counts.
layer_commands() {
	layer_pytest commands 180 tests/deploy tests/lib
}

# What judges the runs of tests/fault, by itself.
layer_checker() {
	layer_pytest checker 60 tests/fault/test_checker.py
}

# Client libraries without a system: the vectors, and their state machines under random schedules.
layer_clients() {
	layer_pytest clients 60 tests/clients
}

layer_integration() {
	layer_pytest integration 600 tests/integration
}

layer_pytest() {
	local layer=$1
	local limit_s=$2
	shift 2
	tally_runner "$layer" "$limit_s" junit "$LOG_DIR/$layer.xml" "${PYTEST[@]}" --junitxml="$LOG_DIR/$layer.xml" "$@"
}

layer_unit() {
	layer_meson unit 240 criterion
}

# The model of the steps T1 to T6, and that each broken variant of it is refuted.
layer_model() {
	tally_check model spin 120 "$ROOT/tests/model/run"
}

layer_golden() {
	layer_meson golden 60 meson
}

layer_meson() {
	tally_runner "$1" "$2" "$3" "$BUILD_DIR/meson-logs/$1.json" \
		meson test -C "$BUILD_DIR" --no-rebuild --suite "$1" --logbase "$1" --print-errorlogs
}

layer_ui() {
	cd "$UI_DIR" || return
	tally_runner ui 180 junit "$LOG_DIR/ui.xml" \
		npx --no-install vitest run --reporter=default --reporter=junit --outputFile.junit="$LOG_DIR/ui.xml"
	cd "$ROOT" || return
}

# One system for all browser tests, on free ports, gone afterwards.
layer_browser() {
	local data
	(build_node_packages "$ROOT/tests/browser") || true
	data=$(mktemp -d "${TMPDIR:-/tmp}/districhat-XXXXXX")
	if ! "$ROOT/deploy/up" --no-install --no-build --build-dir "$BUILD_DIR" --data "$data" --port 0 --detach \
		>"$LOG_DIR/browser-system.log" 2>&1; then
		tally_add browser 0 1 0 0 "the system did not start"
		tally_show "$LOG_DIR/browser-system.log"
		rm -rf "$data"
		return
	fi
	cd "$ROOT/tests/browser" || return
	DISTRICHAT_URL=$(<"$data/run/address") DISTRICHAT_BUS=$(<"$data/run/bus") \
		tally_runner browser 400 tap "$LOG_DIR/browser.tap" \
		node --test --test-reporter=tap --test-reporter-destination="$LOG_DIR/browser.tap"
	cd "$ROOT" || return
	tally_check browser stops-in-order 60 "$ROOT/deploy/down" --data "$data"
	rm -rf "$data"
}

# Every target of tests/fuzz, from its corpus, each its share of the time; what it finds is kept.
layer_fuzz() {
	local dir=$ROOT/build/fuzz
	local targets
	local target
	local name
	if ! (CC=clang build_daemons "$dir" -Dfuzzers=true -Dtests=false -Dwerror=true \
		-Db_sanitize=address,undefined -Db_lundef=false); then
		tally_add fuzz 0 1 0 0 "does not build with clang"
		return
	fi
	mapfile -t targets < <(find "$dir/tests/fuzz" -maxdepth 1 -name '*_fuzz' -type f -perm -u+x)
	if [ "${#targets[@]}" -eq 0 ]; then
		tally_add fuzz 0 1 0 0 "no targets"
	fi
	for target in "${targets[@]}"; do
		name=$(basename "$target" _fuzz)
		mkdir -p "$LOG_DIR/fuzz-$name"
		tally_check fuzz "$name" "$((FUZZ_S + 60))" "$target" \
			-max_total_time="$((FUZZ_S / ${#targets[@]} + 1))" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix="$LOG_DIR/fuzz-$name-" "$LOG_DIR/fuzz-$name" "$ROOT/tests/fuzz/corpus/$name"
	done
}
