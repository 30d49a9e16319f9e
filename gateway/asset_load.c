/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Reading the assets from disk, once, at start; see asset.h. Links, hidden files and everything
 * past a limit end the start, rather than giving half an application. Paths are looked up in a
 * hash, so that a request never touches the disk and `..` means nothing.
 */

#include "gateway/asset.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uthash.h>
#include "services/cleanup.h"
#include "services/log.h"

struct file {
	struct asset asset;
	UT_hash_handle hh;
};

struct assets {
	struct file *files;
	size_t bytes;
};

static const char *const suffixes[ASSET_CODINGS] = {
	[ASSET_PLAIN] = "",
	[ASSET_GZIP] = ".gz",
	[ASSET_BROTLI] = ".br",
};

static void close_dir(DIR **dir)
{
	if (*dir) {
		(void)closedir(*dir);
	}
}

static void close_file(FILE **file)
{
	if (*file) {
		(void)fclose(*file);
	}
}

size_t assets_count(const struct assets *assets)
{
	return HASH_COUNT(assets->files);
}

static struct file *get_file(struct assets *assets, const char *path, size_t path_size)
{
	struct file *file;

	HASH_FIND(hh, assets->files, path, path_size, file);
	if (file || assets_count(assets) >= ASSET_FILES_MAX) {
		return file;
	}
	file = calloc(1, sizeof(*file));
	if (!file) {
		return NULL;
	}
	file->asset.path = strndup(path, path_size);
	if (!file->asset.path) {
		free(file);
		return NULL;
	}
	file->asset.type = asset_type((struct proto_span){path, path_size});
	file->asset.immutable = strncmp(path, "/assets/", 8) == 0;
	HASH_ADD_KEYPTR(hh, assets->files, file->asset.path, path_size, file);
	return file;
}

static void set_etag(struct asset_body *body)
{
	unsigned char hash[16];

	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)body->data, body->size,
				 NULL, 0);
	body->etag[0] = '"';
	(void)sodium_bin2hex(body->etag + 1, sizeof(body->etag) - 1, hash, sizeof(hash));
	strcat(body->etag, "\"");
}

static int read_body(const char *name, size_t size, struct asset_body *body)
{
	_cleanup_(close_file) FILE *in = fopen(name, "rbe");
	char *data = malloc(size + 1);

	if (!in || !data) {
		free(data);
		return in ? -ENOMEM : -errno;
	}
	if (fread(data, 1, size, in) != size) {
		free(data);
		return -EIO;
	}
	free(body->data);
	body->data = data;
	body->size = size;
	set_etag(body);
	return 0;
}

static enum asset_coding coding_of(const char *path, size_t size, size_t *ret_plain_size)
{
	for (enum asset_coding coding = ASSET_GZIP; coding < ASSET_CODINGS; coding++) {
		size_t suffix = strlen(suffixes[coding]);

		if (size > suffix && memcmp(path + size - suffix, suffixes[coding], suffix) == 0) {
			*ret_plain_size = size - suffix;
			return coding;
		}
	}
	*ret_plain_size = size;
	return ASSET_PLAIN;
}

static int load_file(struct assets *assets, const char *root, const char *path, size_t size)
{
	char name[2 * ASSET_PATH_BYTES_MAX];
	size_t plain;
	enum asset_coding coding = coding_of(path, strlen(path), &plain);
	struct file *file;

	assets->bytes += size;
	if (size > ASSET_FILE_BYTES_MAX || assets->bytes > ASSET_BYTES_MAX) {
		return -EFBIG;
	}
	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name)) {
		return -ENAMETOOLONG;
	}
	file = get_file(assets, path, plain);
	return file ? read_body(name, size, &file->asset.bodies[coding]) : -ENOMEM;
}

static int load_directory(struct assets *assets, const char *root, const char *path,
			  unsigned int depth);

static int load_entry(struct assets *assets, const char *root, const char *path, unsigned int depth)
{
	char name[2 * ASSET_PATH_BYTES_MAX];
	struct stat stat;
	int r = 0;

	if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name)) {
		return -ENAMETOOLONG;
	}
	if (lstat(name, &stat) != 0) {
		return -errno;
	}
	if (S_ISDIR(stat.st_mode)) {
		return load_directory(assets, root, path, depth + 1);
	}
	r = S_ISREG(stat.st_mode) ? load_file(assets, root, path, (size_t)stat.st_size) : -EINVAL;
	if (r != 0) {
		log_error("asset.refused", LOG_TEXT("file", name), LOG_ERRNO(r));
	}
	return r;
}

static int load_directory(struct assets *assets, const char *root, const char *path,
			  unsigned int depth)
{
	char name[2 * ASSET_PATH_BYTES_MAX];
	_cleanup_(close_dir) DIR *dir = NULL;
	struct dirent *entry;
	int r = 0;

	(void)snprintf(name, sizeof(name), "%s%s", root, path);
	dir = depth <= ASSET_DEPTH_MAX ? opendir(name) : NULL;
	if (!dir) {
		return depth <= ASSET_DEPTH_MAX ? -errno : -ELOOP;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		char below[ASSET_PATH_BYTES_MAX];

		if (entry->d_name[0] == '.') {
			continue;
		}
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
		    (int)sizeof(below)) {
			return -ENAMETOOLONG;
		}
		r = load_entry(assets, root, below, depth);
	}
	return r;
}

/* A compressed version alone is a file like others. */
static void settle(struct assets *assets)
{
	struct file *file;
	struct file *next;

	HASH_ITER(hh, assets->files, file, next)
	{
		if (!file->asset.bodies[ASSET_PLAIN].data) {
			log_warn("asset.without_plain_version", LOG_TEXT("path", file->asset.path));
			HASH_DEL(assets->files, file);
			for (size_t i = 0; i < ASSET_CODINGS; i++) {
				free(file->asset.bodies[i].data);
			}
			free(file->asset.path);
			free(file);
		}
	}
}

int assets_load(const char *directory, struct assets **ret_assets)
{
	struct assets *assets = calloc(1, sizeof(*assets));
	int r = 0;

	if (!assets) {
		return -ENOMEM;
	}
	if (*directory != 0) {
		r = load_directory(assets, directory, "", 0);
	}
	if (r != 0) {
		log_error("assets.not_loaded", LOG_TEXT("directory", directory), LOG_ERRNO(r));
		assets_free(assets);
		return r;
	}
	settle(assets);
	*ret_assets = assets;
	return 0;
}

void assets_free(struct assets *assets)
{
	struct file *file;
	struct file *next;

	if (!assets) {
		return;
	}
	HASH_ITER(hh, assets->files, file, next)
	{
		HASH_DEL(assets->files, file);
		for (size_t i = 0; i < ASSET_CODINGS; i++) {
			free(file->asset.bodies[i].data);
		}
		free(file->asset.path);
		free(file);
	}
	free(assets);
}

const struct asset *assets_find(const struct assets *assets, struct proto_span path)
{
	struct file *file;

	if (asset_is_page(path)) {
		path = PROTO_SPAN("/index.html");
	}
	HASH_FIND(hh, assets->files, path.data, path.size, file);
	return file ? &file->asset : NULL;
}
