/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The folder of the registry's data, and the small files with secrets that lie in it beside the
 * store: the token key, the invitation. Results: 0 or -errno.
 */

#include <stddef.h>

/* Makes it if it is not there. */
int folder_make(const char *folder);
/* The file is there whole, or as it was before, whatever happens in between. */
int folder_write(const char *folder, const char *name, const char *text);
/* At most size - 1 bytes, terminated. -ENOENT: there is no such file; -EIO: it is empty. */
int folder_read(const char *folder, const char *name, char *ret_text, size_t size);
/* That it is not there is fine. */
void folder_remove(const char *folder, const char *name);
