/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "registry/registry.h"

int main(int argc, char **argv)
{
	return service_main(&registry_spec, argc, argv);
}
