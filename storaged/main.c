/* SPDX-License-Identifier: GPL-3.0-or-later */

/* storaged: see storaged.c. */

#include "storaged/storaged.h"

int main(int argc, char **argv)
{
	return service_main(&storaged_spec, argc, argv);
}
