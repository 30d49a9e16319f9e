/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Runs the gateway; see gateway.c. `--routes` prints the HTTP interface, for the test of
 * docs/openapi.json.
 */

#include <string.h>
#include "gateway/gateway.h"
#include "gateway/route.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
		route_print(stdout);
		return 0;
	}
	return service_main(&gateway_spec, argc, argv);
}
