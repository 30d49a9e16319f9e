/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A draft beside the file is written and synced first, then it gets the name: by rename(2), which
 * replaces, or by link(2), which does not. The folder is synced last.
 */

#include "services/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS_MAY (S_IRWXG | S_IRWXO)

static int check(int fd, size_t size)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		return -errno;
	}
	if (!S_ISREG(status.st_mode)) {
		return -EINVAL;
	}
	if ((status.st_mode & OTHERS_MAY) != 0 ||
	    (status.st_uid != geteuid() && status.st_uid != 0)) {
		return -EPERM;
	}
	return (size_t)status.st_size < size ? 0 : -EFBIG;
}

static int read_all(int fd, char *ret_text, size_t size)
{
	size_t used = 0;

	while (used < size - 1) {
		ssize_t n = read(fd, ret_text + used, size - 1 - used);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (n == 0) {
			break;
		}
		used += n > 0 ? (size_t)n : 0;
	}
	ret_text[used] = '\0';
	return 0;
}

int secret_file_read(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0) {
		return -errno;
	}
	r = check(fd, size);
	if (r == 0) {
		r = read_all(fd, ret_text, size);
	}
	(void)close(fd);
	return r;
}

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		text += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	int fd;
	int r;

	if (slash) {
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path);
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	r = fsync(fd) == 0 ? 0 : -errno;
	(void)close(fd);
	return r;
}

/* A draft of this process' own; one that a process of that number left behind is in the way. */
static int write_draft(const char *path, const char *text, char ret_draft[static PATH_MAX])
{
	int n = snprintf(ret_draft, PATH_MAX, "%s.%ld.new", path, (long)getpid());
	int fd;
	int r;

	if (n < 0 || n >= PATH_MAX) {
		return -ENAMETOOLONG;
	}
	(void)unlink(ret_draft);
	fd = open(ret_draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return -errno;
	}
	r = write_all(fd, text);
	if (close(fd) != 0 && r == 0) {
		r = -errno;
	}
	if (r != 0) {
		(void)unlink(ret_draft);
	}
	return r;
}

int secret_file_write(const char *path, const char *text)
{
	char draft[PATH_MAX];
	int r = write_draft(path, text, draft);

	if (r != 0) {
		return r;
	}
	r = secret_file_move(draft, path);
	if (r != 0) {
		(void)unlink(draft);
	}
	return r;
}

int secret_file_make(const char *path, const char *text)
{
	char draft[PATH_MAX];
	int r = write_draft(path, text, draft);

	if (r != 0) {
		return r;
	}
	r = link(draft, path) == 0 ? 0 : -errno;
	(void)unlink(draft);
	return r != 0 ? r : sync_folder(path);
}

int secret_file_move(const char *from, const char *to)
{
	return rename(from, to) == 0 ? sync_folder(to) : -errno;
}
