/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Structs to msgpack.
 *
 * The output is canonical: keys in the order of the table, the shortest form of every number, and
 * no key for a MAY field that is not set. So equal messages are equal bytes.
 *
 * What comes out of here, decoder.c takes: all its limits are checked here, too.
 */

#include "proto/buffer.h"
#include "proto/value.h"

#include <errno.h>
#include <limits.h> /* pack.h needs it */
#include <msgpack/pack.h>

/* msgpack-c writes through this. */
static int write_bytes(void *data, const char *bytes, size_t size)
{
	struct proto_buffer *out = data;

	if (proto_buffer_reserve(out, size) < 0) {
		return -ENOMEM;
	}
	proto_buffer_put(out, bytes, size);
	return 0;
}

static int pack_fields(msgpack_packer *packer, const struct proto_record *record, const void *body);

static int pack_text(msgpack_packer *packer, const char *text, size_t size)
{
	int r = msgpack_pack_str(packer, size);

	return r < 0 || size == 0 ? r : msgpack_pack_str_body(packer, text, size);
}

static int pack_bytes(msgpack_packer *packer, const void *bytes, size_t size)
{
	int r = msgpack_pack_bin(packer, size);

	return r < 0 || size == 0 ? r : msgpack_pack_bin_body(packer, bytes, size);
}

/* The fields that are to be written, a bit for each. */
static uint64_t fields_set(const struct proto_record *record, const void *body)
{
	uint64_t set = 0;

	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		if (field->must || proto_field_is_set(field, proto_field_of(field, body))) {
			set |= 1ULL << i;
		}
	}
	return set;
}

static int pack_list(msgpack_packer *packer, const struct proto_record *record,
		     const struct proto_list *list)
{
	int r = msgpack_pack_array(packer, list->count);

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		r = pack_fields(packer, record, (const char *)list->items + i * record->size);
	}
	return r;
}

static int pack_value(msgpack_packer *packer, const struct proto_field *field, const void *value)
{
	const struct proto_span *span = value;
	const struct proto_enum_value *name;

	switch (field->kind) {
	case PROTO_KIND_BOOL:
		return *(const bool *)value ? msgpack_pack_true(packer)
					    : msgpack_pack_false(packer);
	case PROTO_KIND_U64:
		return msgpack_pack_uint64(packer, *(const uint64_t *)value);
	case PROTO_KIND_ID:
		return pack_bytes(packer, value, PROTO_ID_BYTES);
	case PROTO_KIND_TEXT:
		return pack_text(packer, span->data, span->size);
	case PROTO_KIND_BYTES:
		return pack_bytes(packer, span->data, span->size);
	case PROTO_KIND_ENUM:
		name = proto_enum_value_of(field->values, proto_field_enum(value));
		return pack_text(packer, name->name, name->name_size);
	case PROTO_KIND_LIST:
		return pack_list(packer, field->record, value);
	}
	return -EINVAL;
}

static int pack_set_fields(msgpack_packer *packer, const struct proto_record *record,
			   const void *body, uint64_t set)
{
	for (; set != 0; set &= set - 1) {
		const struct proto_field *field = &record->fields[__builtin_ctzll(set)];
		const void *value = proto_field_of(field, body);
		int r;

		r = proto_field_check(field, value);
		if (r == 0) {
			r = pack_text(packer, field->name, field->name_size);
		}
		if (r == 0) {
			r = pack_value(packer, field, value);
		}
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int pack_fields(msgpack_packer *packer, const struct proto_record *record, const void *body)
{
	uint64_t set = fields_set(record, body);
	int r = msgpack_pack_map(packer, (size_t)__builtin_popcountll(set));

	return r < 0 ? r : pack_set_fields(packer, record, body, set);
}

static int pack_header_number(msgpack_packer *packer, const char *key, uint64_t number)
{
	int r;

	if (number == 0) {
		return 0;
	}
	if (number > PROTO_NUMBER_MAX) {
		return -EMSGSIZE;
	}
	r = pack_text(packer, key, 1);
	return r < 0 ? r : msgpack_pack_uint64(packer, number);
}

static int pack_header(msgpack_packer *packer, const struct proto_header *header)
{
	int r = pack_header_number(packer, "t", header->type);

	if (r == 0) {
		r = pack_header_number(packer, "i", header->request);
	}
	if (r == 0) {
		r = pack_header_number(packer, "d", header->deadline_ms);
	}
	if (r == 0 && !proto_id_is_none(&header->trace)) {
		r = pack_text(packer, "x", 1);
		if (r == 0) {
			r = pack_bytes(packer, header->trace.bytes, PROTO_ID_BYTES);
		}
	}
	return r;
}

static size_t header_keys(const struct proto_header *header)
{
	return (size_t)1 + (header->request != 0) + (header->deadline_ms != 0) +
	       !proto_id_is_none(&header->trace);
}

/* Takes back what was written, unless all went well. */
static int finish(struct proto_buffer *out, size_t size_before, int r)
{
	if (r == 0 && out->size - size_before > PROTO_FRAME_BYTES_MAX) {
		r = -EMSGSIZE;
	}
	if (r < 0) {
		out->size = size_before;
	}
	return r;
}

int proto_encode(struct proto_buffer *out, const struct proto_header *header, const void *body)
{
	const struct proto_type_info *info = proto_type_info(header->type);
	size_t size_before = out->size;
	msgpack_packer packer;
	uint64_t set;
	int r;

	if (!info) {
		return -EINVAL;
	}
	body = body ? body : proto_body_absent();
	msgpack_packer_init(&packer, out, write_bytes);
	set = fields_set(info->record, body);
	r = msgpack_pack_map(&packer, header_keys(header) + (size_t)__builtin_popcountll(set));
	if (r == 0) {
		r = pack_header(&packer, header);
	}
	if (r == 0) {
		r = pack_set_fields(&packer, info->record, body, set);
	}
	return finish(out, size_before, r);
}

int proto_encode_record(struct proto_buffer *out, const struct proto_record *record,
			const void *body)
{
	size_t size_before = out->size;
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, write_bytes);
	return finish(out, size_before,
		      pack_fields(&packer, record, body ? body : proto_body_absent()));
}
