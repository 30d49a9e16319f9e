/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See folder.h. Only their owner may read the files; links are not followed. */

#include "registry/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int path_of(const char *folder, const char *name, const char *suffix,
		   char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s%s", folder, name, suffix);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int folder_make(const char *folder)
{
	return mkdir(folder, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static int write_all(int fd, const char *text)
{
	size_t size = strlen(text);

	if (write(fd, text, size) != (ssize_t)size) {
		return -EIO;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

	if (fd >= 0) {
		(void)close(fd);
	}
	return r;
}

int folder_write(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	char draft[PATH_MAX];
	int fd;
	int r = path_of(folder, name, "", path);

	r = r ? r : path_of(folder, name, ".new", draft);
	if (r != 0) {
		return r;
	}
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return -errno;
	}
	r = write_all(fd, text);
	r = close(fd) == 0 ? r : -errno;
	if (r == 0 && rename(draft, path) != 0) {
		r = -errno;
	}
	return r ? r : sync_folder(folder);
}

int folder_read(const char *folder, const char *name, char *ret_text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;
	int r = path_of(folder, name, "", path);

	if (r != 0) {
		return r;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return -errno;
	}
	n = read(fd, ret_text, size - 1);
	(void)close(fd);
	if (n <= 0) {
		return -EIO;
	}
	ret_text[n] = '\0';
	return 0;
}

void folder_remove(const char *folder, const char *name)
{
	char path[PATH_MAX];

	if (path_of(folder, name, "", path) == 0) {
		(void)unlink(path);
	}
}
