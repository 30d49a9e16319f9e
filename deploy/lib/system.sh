# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A DistriChat system on this machine: its directories, its nodes and how they find each other.
#
#   DATA/lock            held as long as the system or one of its daemons is alive; the process id of up
#   DATA/run/            sockets (ipc), NODE.pid, and for programs that follow the system:
#     address              where the first gateway serves, one line; there once all nodes are ready
#     bus                  the registry's endpoint
#     nodes                a line per node: name, service, operations port
#   DATA/log/NODE.log    what a node says, and what happened to it
#   DATA/registry/       what the services keep
#   DATA/storaged-N/

SOCKET_PATH_BYTES_MAX=107 # sun_path of unix(7), without its final NUL
READY_S=60

declare -a NODES=() # in order of start
declare -A NODE_SERVICE=()
declare -A NODE_OPS_PORT=()
declare -a GATEWAY_PORTS=()

# system_paths DATA: make the directories, readable by their owner alone.
system_paths() {
	local longest
	umask 077
	mkdir -p "$1" || fail "cannot make the data directory $1"
	DATA_DIR=$(cd "$1" && pwd -P)
	RUN_DIR=$DATA_DIR/run
	LOG_DIR=$DATA_DIR/log
	longest=$RUN_DIR/registry-feed.sock
	if [ "${#longest}" -gt "$SOCKET_PATH_BYTES_MAX" ]; then
		fail "the path of the data directory is $((${#longest} - SOCKET_PATH_BYTES_MAX)) bytes too long for Unix" \
			"sockets in it ($longest); choose a shorter one with --data"
	fi
	mkdir -p "$RUN_DIR" "$LOG_DIR"
	chmod 700 "$DATA_DIR" "$RUN_DIR"
}

# One system per data directory. The daemons inherit the lock: should this process be killed, the next
# start waits for their end instead of opening their stores a second time.
system_lock() {
	local holder
	exec {LOCK_FD}>>"$DATA_DIR/lock"
	if ! flock --nonblock "$LOCK_FD"; then
		holder=$(<"$DATA_DIR/lock")
		if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
			fail "already running on $DATA_DIR (process $holder); stop it with" \
				"deploy/down, or choose another --data"
		fi
		step "waiting for the daemons of a killed deploy/up to end"
		flock --timeout "$((STOP_S + 3))" "$LOCK_FD" || fail "some do not end: $(system_left_behind)"
	fi
	printf '%s\n' "$$" >"$DATA_DIR/lock"
}

system_left_behind() {
	local file
	for file in "$RUN_DIR"/*.pid; do
		[ -e "$file" ] && printf '%s (process %s) ' "$(basename "$file" .pid)" "$(<"$file")"
	done
}

# Fill NODES from the counts and ports that were asked for.
# shellcheck disable=SC2153 # deploy/up reads the options
system_plan() {
	local number
	system_check_stores
	system_plan_nodes registry 1
	system_plan_nodes storaged "$STORAGEDS"
	system_plan_nodes roomd "$ROOMDS"
	system_plan_nodes gateway "$GATEWAYS"
	for ((number = 0; number < GATEWAYS; number++)); do
		system_plan_port "GATEWAY_PORTS[$number]" "$PORT" "$number" --port
	done
}

system_plan_nodes() {
	local number
	[ -x "$BUILD_DIR/$1/$1" ] || fail "there is no $BUILD_DIR/$1/$1; build it with deploy/up --build-only"
	for ((number = 1; number <= $2; number++)); do
		system_plan_port "NODE_OPS_PORT[$1-$number]" "$OPS_PORT" "${#NODES[@]}" --ops-port
		NODES+=("$1-$number")
		NODE_SERVICE[$1-$number]=$1
	done
}

# system_plan_port VARIABLE FIRST OFFSET OPTION: FIRST + OFFSET, which must be free; any free port if FIRST is 0.
system_plan_port() {
	local port=$(($2 + $3))
	if [ "$2" -eq 0 ]; then
		port_pick "$1"
		return
	fi
	port_is_free "$port" || fail "port $port is in use; choose another with $4 (0: any free one)"
	port_take "$port"
	printf -v "$1" '%s' "$port"
}

# Messages live in every store that was ever used: start none of them less.
system_check_stores() {
	local number=1
	while [ -d "$DATA_DIR/storaged-$((number + 1))" ]; do
		number=$((number + 1))
	done
	STORAGEDS=${STORAGEDS:-$number}
	if [ "$STORAGEDS" -lt "$number" ]; then
		fail "$DATA_DIR holds the messages of $number storage nodes: start it with --storageds $number or more"
	fi
}

system_start() {
	local node
	find "$RUN_DIR" -mindepth 1 -delete
	for node in "${NODES[@]}"; do
		printf '%s\t%s\t%s\n' "$node" "${NODE_SERVICE[$node]}" "${NODE_OPS_PORT[$node]}"
	done >"$RUN_DIR/nodes"
	for node in "${NODES[@]}"; do
		"system_start_${NODE_SERVICE[$node]}" "$node"
	done
}

# system_start_node NODE ARGUMENT…: with what all daemons take.
system_start_node() {
	local node=$1
	local service=${NODE_SERVICE[$1]}
	shift
	supervise_start "$node" "$BUILD_DIR/$service/$service" --name "$node" \
		--ops "127.0.0.1:${NODE_OPS_PORT[$node]}" "$@"
}

system_socket() {
	printf 'ipc://%s/%s.sock' "$RUN_DIR" "$1"
}

system_start_registry() {
	mkdir -p "$DATA_DIR/registry"
	system_start_node "$1" --data "$DATA_DIR/registry" \
		--bind "$(system_socket registry)" --feed "$(system_socket registry-feed)"
}

system_start_storaged() {
	mkdir -p "$DATA_DIR/$1"
	system_start_node "$1" --data "$DATA_DIR/$1" \
		--bind "$(system_socket "$1")" --registry "$(system_socket registry)"
}

system_start_roomd() {
	system_start_node "$1" --bind "$(system_socket "$1")" --feed "$(system_socket "$1-feed")" \
		--registry "$(system_socket registry)"
}

system_start_gateway() {
	local port=${GATEWAY_PORTS[${1#gateway-} - 1]}
	system_start_node "$1" --listen "$LISTEN:$port" --ui "$ROOT/ui/dist" \
		--registry "$(system_socket registry)" --public-url "${PUBLIC_URL:-$(system_address "$port")}"
}

# system_address PORT: what a browser on this machine opens.
system_address() {
	case $LISTEN in
	0.0.0.0 | \*) printf 'http://127.0.0.1:%s' "$1" ;;
	*) printf 'http://%s:%s' "$LISTEN" "$1" ;;
	esac
}

# Wait until all nodes say that they can serve. Status 1: interrupted, refused settings, or too late.
system_await_ready() {
	local deadline=$((SECONDS + READY_S))
	local waiting=("${NODES[@]}")
	while [ "$SUPERVISE_STOPPING" = no ] && supervise_is_whole && [ "$SECONDS" -lt "$deadline" ]; do
		if port_answers "${NODE_OPS_PORT[${waiting[0]}]}" /readyz; then
			waiting=("${waiting[@]:1}")
		else
			supervise_pause 0.1
		fi
		if [ "${#waiting[@]}" -eq 0 ]; then
			printf 'ipc://%s/registry.sock\n' "$RUN_DIR" >"$RUN_DIR/bus"
			system_address "${GATEWAY_PORTS[0]}" >"$RUN_DIR/address.new"
			printf '\n' >>"$RUN_DIR/address.new"
			mv "$RUN_DIR/address.new" "$RUN_DIR/address"
			return 0
		fi
	done
	[ "$SUPERVISE_STOPPING" = yes ] || system_explain "${waiting[@]}"
	return 1
}

# system_explain NODE…: which of these are not ready and why, as far as their logs say.
system_explain() {
	local node
	for node in "$@"; do
		if kill -0 "${KEEPER[$node]}" 2>/dev/null && port_answers "${NODE_OPS_PORT[$node]}" /readyz; then
			continue
		fi
		printf '\n%s is not ready; the end of %s:\n' "$node" "$LOG_DIR/$node.log" >&2
		tail -n 8 "$LOG_DIR/$node.log" >&2
	done
}

# Gateways first, so that nobody is promised anything any more; the registry last. Status 1: not in order.
system_stop() {
	local service
	local result=0
	rm -f "$RUN_DIR/address"
	for service in gateway roomd storaged registry; do
		# shellcheck disable=SC2046 # names are words
		supervise_stop $(system_nodes_of "$service") || result=1
	done
	find "$RUN_DIR" -mindepth 1 -delete
	return "$result"
}

system_nodes_of() {
	local node
	for node in "${NODES[@]}"; do
		[ "${NODE_SERVICE[$node]}" != "$1" ] || printf '%s\n' "$node"
	done
}

system_announce() {
	local base=${PUBLIC_URL:-$(<"$RUN_DIR/address")}
	local number
	base=${base%/}
	printf '\nDistriChat is up.\n\n'
	printf '  open           %s/\n' "$base"
	for ((number = 1; number < GATEWAYS; number++)); do
		printf '                 %s/\n' "$(system_address "${GATEWAY_PORTS[$number]}")"
	done
	if [ -s "$DATA_DIR/registry/invitation" ]; then
		printf '  administrator  %s/register/?invitation=%s\n' "$base" "$(<"$DATA_DIR/registry/invitation")"
		printf '                 (there is none yet: whoever registers there first becomes it)\n'
	fi
	printf '  scripts, bots  %s\n' "$(<"$RUN_DIR/bus")"
	printf '  logs           %s/*.log\n' "$LOG_DIR"
	printf '  data           %s\n' "$DATA_DIR"
}
