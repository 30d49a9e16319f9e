/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keys: their text, their files, the list of approved ones, and what ZAP answers. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>
#include "services/bus_zap.h"
#include "services/secret_file.h"

#define TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

struct folder {
	char path[64];
	char file[96];
};

static void folder_init(struct folder *folder)
{
	cr_assert_geq(sodium_init(), 0);
	strcpy(folder->path, "/tmp/key-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder->path));
	(void)snprintf(folder->file, sizeof(folder->file), "%s/node.key", folder->path);
}

/* Nothing but the file may be left in it. */
static void folder_deinit(struct folder *folder)
{
	(void)unlink(folder->file);
	cr_assert_eq(rmdir(folder->path), 0);
}

static void put(const struct folder *folder, const char *text, mode_t mode)
{
	int fd = open(folder->file, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(close(fd), 0);
}

/* --- text --- */

Test(key, text)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{TEXT, true},
		{"", false},
		{TEXT "A", false},
		{TEXT "=", false},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", false},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", false}, /* bits past its end */
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+", false},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka GxwdHh", false},
	};
	char text[KEY_TEXT_BYTES];
	struct key key;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(key_parse(proto_span(rows[i].text), &key), rows[i].good, "%s",
			     rows[i].text);
	}
	for (size_t i = 0; i < sizeof(key.bytes); i++) {
		cr_assert_eq(key.bytes[i], i);
	}
	key_format(&key, text);
	cr_assert_str_eq(text, TEXT);
}

/* What libzmq calls the public half of a secret one is what we call so. */
Test(key, pairs_are_those_of_zeromq)
{
	struct key_pair *pair;
	char secret[41];
	char public[41];
	uint8_t bytes[32];

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(key_pair_new(&pair), 0);
	cr_assert_not_null(zmq_z85_encode(secret, key_pair_open(pair)->bytes, 32));
	key_pair_close(pair);
	cr_assert_eq(zmq_curve_public(public, secret), 0);
	cr_assert_not_null(zmq_z85_decode(bytes, public));
	cr_assert_eq(memcmp(bytes, key_pair_public(pair)->bytes, 32), 0);
	key_pair_free(pair);
	key_pair_free(NULL);
}

/* --- files --- */

Test(key, file_is_made_once_and_private)
{
	struct folder folder;
	struct key_pair *first;
	struct key_pair *second;
	struct stat status;

	folder_init(&folder);
	(void)umask(0);
	cr_assert_eq(key_pair_load(folder.file, &first), 0);
	cr_assert_eq(stat(folder.file, &status), 0);
	cr_assert_eq(status.st_mode & 07777, 0600);
	cr_assert_eq(key_pair_load(folder.file, &second), 0);
	cr_assert(key_equal(key_pair_public(first), key_pair_public(second)));
	cr_assert_eq(key_pair_save(first, folder.file), 0);
	cr_assert_eq(stat(folder.file, &status), 0);
	cr_assert_eq(status.st_mode & 07777, 0600);
	key_pair_free(second);
	cr_assert_eq(key_pair_load(folder.file, &second), 0);
	cr_assert(key_equal(key_pair_public(first), key_pair_public(second)));
	key_pair_free(first);
	key_pair_free(second);
	folder_deinit(&folder);
}

Test(key, files_that_are_refused)
{
	static const struct {
		const char *text;
		mode_t mode;
		int result;
	} rows[] = {
		{TEXT "\n", 0600, 0},
		{TEXT "\r\n", 0400, 0},
		{TEXT, 0600, 0},
		{TEXT "\n", 0640, -EPERM},
		{TEXT "\n", 0604, -EPERM},
		{TEXT "\n", 0620, -EPERM},
		{TEXT "\n", 0601, -EPERM},
		{"", 0600, -EBADMSG},
		{"\n" TEXT, 0600, -EBADMSG},
		{TEXT "x\n", 0600, -EBADMSG},
	};
	struct folder folder;
	char large[4096];

	folder_init(&folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct key_pair *pair = NULL;

		put(&folder, rows[i].text, rows[i].mode);
		cr_assert_eq(key_pair_load(folder.file, &pair), rows[i].result, "row %zu", i);
		key_pair_free(pair);
		cr_assert_eq(chmod(folder.file, 0600), 0);
	}
	if (geteuid() == 0) { /* only root can give a file away */
		put(&folder, TEXT "\n", 0600);
		cr_assert_eq(chown(folder.file, 12345, 12345), 0);
		cr_assert_eq(key_pair_load(folder.file, &(struct key_pair *){NULL}), -EPERM);
		cr_assert_eq(unlink(folder.file), 0);
	}
	memset(large, 'A', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	put(&folder, large, 0600);
	cr_assert_eq(key_pair_load(folder.file, &(struct key_pair *){NULL}), -EFBIG);
	cr_assert_eq(unlink(folder.file), 0);
	cr_assert_eq(symlink("/etc/hostname", folder.file), 0);
	cr_assert_eq(key_pair_load(folder.file, &(struct key_pair *){NULL}), -ELOOP);
	cr_assert_eq(unlink(folder.file), 0);
	cr_assert_eq(mkdir(folder.file, 0700), 0);
	cr_assert_eq(key_pair_load(folder.file, &(struct key_pair *){NULL}), -EINVAL);
	cr_assert_eq(rmdir(folder.file), 0);
	cr_assert_eq(mkfifo(folder.file, 0600), 0); /* does not wait for a writer */
	cr_assert_eq(key_pair_load(folder.file, &(struct key_pair *){NULL}), -EINVAL);
	folder_deinit(&folder);
}

Test(key, secret_files)
{
	struct folder folder;
	char text[16];

	folder_init(&folder);
	cr_assert_eq(secret_file_read(folder.file, text, sizeof(text)), -ENOENT);
	cr_assert_eq(secret_file_make(folder.file, "one"), 0);
	cr_assert_eq(secret_file_make(folder.file, "two"), -EEXIST);
	cr_assert_eq(secret_file_read(folder.file, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "one");
	cr_assert_eq(secret_file_write(folder.file, "three"), 0);
	cr_assert_eq(secret_file_read(folder.file, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "three");
	cr_assert_eq(secret_file_read(folder.file, text, 5), -EFBIG);
	cr_assert_eq(secret_file_read(folder.file, text, 6), 0);
	cr_assert_eq(secret_file_write("/tmp/no-such-folder/x", "x"), -ENOENT);
	folder_deinit(&folder);
}

/* --- the list --- */

static struct proto_key_ref ref(const char *text, const char *node, enum proto_service service)
{
	return (struct proto_key_ref){proto_span(text), proto_span(node), service};
}

#define OTHER "__ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

Test(keyring, is_replaced_as_a_whole)
{
	struct proto_key_ref refs[] = {
		ref(TEXT, "roomd-1", PROTO_SERVICE_ROOMD),
		ref(TEXT, "another", PROTO_SERVICE_STORAGED), /* the first counts */
		ref("no key", "x", PROTO_SERVICE_ROOMD),
		ref(OTHER, "", PROTO_SERVICE_ROOMD),
	};
	struct keyring keyring = {0};
	const struct keyring_entry *entry;
	struct key key;
	struct key other;

	cr_assert(key_parse(proto_span(TEXT), &key));
	cr_assert(key_parse(proto_span(OTHER), &other));
	cr_assert_null(keyring_find(&keyring, &key));
	cr_assert_eq(keyring_replace(&keyring, 7, &(struct proto_list_key_ref){refs, 4}), 0);
	cr_assert_eq(keyring.version, 7);
	cr_assert_eq(keyring.changes, 1);
	entry = keyring_find(&keyring, &key);
	cr_assert_not_null(entry);
	cr_assert_str_eq(entry->node, "roomd-1");
	cr_assert_eq(entry->service, PROTO_SERVICE_ROOMD);
	cr_assert_null(keyring_find(&keyring, &other));
	refs[3] = ref(OTHER, "gateway-1", PROTO_SERVICE_GATEWAY);
	cr_assert_eq(keyring_replace(&keyring, 8, &(struct proto_list_key_ref){refs + 2, 2}), 0);
	cr_assert_null(keyring_find(&keyring, &key));
	cr_assert_eq(keyring_find(&keyring, &other)->service, PROTO_SERVICE_GATEWAY);
	cr_assert_eq(keyring.changes, 2);
	keyring_deinit(&keyring);
}

/* --- ZAP --- */

Test(zap, decisions)
{
	static const char known[32] = {1};
	static const char unknown[32] = {2};
	static const struct {
		const char *version;
		const char *mechanism;
		const char *credentials;
		size_t credentials_size;
		bool admits;
		enum zap_status status;
		bool is_stranger;
	} rows[] = {
		{"1.0", "CURVE", known, 32, false, ZAP_ALLOWED, false},
		{"1.0", "CURVE", known, 32, true, ZAP_ALLOWED, false},
		{"1.0", "CURVE", unknown, 32, false, ZAP_REFUSED, false},
		{"1.0", "CURVE", unknown, 32, true, ZAP_ALLOWED, true},
		{"1.0", "NULL", "", 0, false, ZAP_REFUSED, false},
		{"1.0", "NULL", "", 0, true, ZAP_REFUSED, false},
		{"1.0", "NULL", known, 32, true, ZAP_REFUSED, false},
		{"1.0", "PLAIN", known, 32, true, ZAP_REFUSED, false},
		{"1.0", "GSSAPI", known, 32, true, ZAP_REFUSED, false},
		{"1.0", "curve", known, 32, true, ZAP_REFUSED, false},
		{"1.0", "", known, 32, true, ZAP_REFUSED, false},
		{"1.0", "CURVE", known, 31, true, ZAP_FAULTY, false},
		{"1.0", "CURVE", known, 0, true, ZAP_FAULTY, false},
		{"1.1", "CURVE", known, 32, true, ZAP_FAULTY, false},
		{"", "CURVE", known, 32, true, ZAP_FAULTY, false},
	};
	struct keyring keyring = {0};
	char text[KEY_TEXT_BYTES];
	struct proto_key_ref approved;
	struct key key;

	memcpy(key.bytes, known, sizeof(key.bytes));
	key_format(&key, text);
	approved = ref(text, "roomd-1", PROTO_SERVICE_ROOMD);
	cr_assert_eq(keyring_replace(&keyring, 1, &(struct proto_list_key_ref){&approved, 1}), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct zap_request request = {
			.version = proto_span(rows[i].version),
			.mechanism = proto_span(rows[i].mechanism),
			.credentials = {rows[i].credentials, rows[i].credentials_size},
		};
		bool is_stranger = !rows[i].is_stranger;

		cr_assert_eq(zap_decide(&keyring, rows[i].admits, &request, &key, &is_stranger),
			     rows[i].status, "row %zu", i);
		cr_assert_eq(is_stranger, rows[i].is_stranger, "row %zu", i);
	}
	keyring_deinit(&keyring);
}
