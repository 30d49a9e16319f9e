/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See roomd.c for the manual. */

#include "roomd/roomd.h"

int main(int argc, char **argv)
{
	return service_main(&roomd_spec, argc, argv);
}
