/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Files with a secret in them: readable by their owner alone, written whole or not at all.
 */

#include <stddef.h>

/*
 * Read a file of at most `size` - 1 bytes into `ret_text`, and end it with a zero. Returns 0, or
 * -errno: -ENOENT; -EPERM if others than its owner may read or write it, or if it belongs to
 * somebody else; -EFBIG; -ELOOP for a symbolic link; -EINVAL if it is no file. The caller wipes
 * `ret_text`, also after an error.
 */
int secret_file_read(const char *path, char *ret_text, size_t size);

/*
 * Write `text`, synced, with mode 0600; what stood there before is replaced at one blow. Returns 0
 * or -errno.
 */
int secret_file_write(const char *path, const char *text);

/* The same, but -EEXIST if there is a file already: it stays as it is. */
int secret_file_make(const char *path, const char *text);

/* Rename, synced. Returns 0 or -errno. */
int secret_file_move(const char *from, const char *to);
