/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See envelope.h. The session is put in as bytes, in front of the first key, before the one and
 * only decoding. A peer that sends a session of its own then has the key twice, which is malformed:
 * such a frame is decoded as it came, and the field overwritten.
 */

#include "gateway/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY "session"
#define INSERT_BYTES_MAX 64

void envelope_deinit(struct envelope *envelope)
{
	proto_message_deinit(&envelope->message);
	free(envelope->bytes);
	*envelope = ENVELOPE_INIT;
}

bool envelope_has_field(const struct proto_type_info *info, const char *name, enum proto_kind kind)
{
	const struct proto_field *field = proto_record_field(info->record, proto_span(name));

	return field && field->kind == kind;
}

void *envelope_field(const struct proto_message *message, const char *name, enum proto_kind kind)
{
	const struct proto_field *field = proto_record_field(message->info->record,
							     proto_span(name));

	return field && field->kind == kind && message->body ? (char *)message->body + field->offset
							     : NULL;
}

/* Bytes to put at `*ret_at`, and how many of those that stand there they replace. */
struct insert {
	char bytes[INSERT_BYTES_MAX];
	size_t size;
	size_t at;
	size_t replaced;
};

static bool insert_json(const char *data, size_t size, const struct proto_id *session,
			struct insert *insert)
{
	char text[PROTO_ID_TEXT_BYTES];
	size_t at = 0;

	while (at < size && strchr(" \t\r\n", data[at]) && data[at] != 0) {
		at++;
	}
	if (at == size || data[at] != '{') {
		return false;
	}
	proto_id_format(session, text);
	memcpy(insert->bytes, "\"" KEY "\":\"", 11);
	memcpy(insert->bytes + 11, text, 32);
	memcpy(insert->bytes + 43, "\",", 2);
	insert->size = 45;
	insert->at = at + 1;
	insert->replaced = 0;
	return true;
}

/*
 * A map header grows by one key: fixmap, or map 16 (the specification of msgpack, "map format
 * family").
 */
static bool insert_msgpack(const char *data, size_t size, const struct proto_id *session,
			   struct insert *insert)
{
	const unsigned char *in = (const unsigned char *)data;
	unsigned char *out = (unsigned char *)insert->bytes;
	unsigned int keys;

	if (size > 0 && (in[0] & 0xf0) == 0x80) {
		keys = in[0] & 0x0f;
		insert->replaced = 1;
	} else if (size > 2 && in[0] == 0xde) {
		keys = (unsigned int)in[1] << 8 | in[2];
		insert->replaced = 3;
	} else {
		return false;
	}
	if (++keys > UINT16_MAX) {
		return false;
	}
	out[0] = 0xde;
	out[1] = (unsigned char)(keys >> 8);
	out[2] = (unsigned char)keys;
	out[3] = 0xa0 | (sizeof(KEY) - 1);
	memcpy(out + 4, KEY, sizeof(KEY) - 1);
	out[11] = 0xc4;
	out[12] = PROTO_ID_BYTES;
	memcpy(out + 13, session->bytes, PROTO_ID_BYTES);
	insert->size = 13 + PROTO_ID_BYTES;
	insert->at = 0;
	return true;
}

static int decode(enum envelope_form form, char *bytes, size_t size, struct envelope *envelope,
		  struct proto_fault *fault)
{
	int r;

	envelope_deinit(envelope);
	if (form == ENVELOPE_JSON) {
		r = proto_decode_json(bytes, size, &envelope->message, fault);
		free(bytes);
		return r;
	}
	envelope->bytes = bytes;
	return proto_decode(bytes, size, &envelope->message, fault);
}

static char *with_insert(const char *data, size_t size, const struct insert *insert)
{
	char *bytes = malloc(size + INSERT_BYTES_MAX);

	if (bytes) {
		size_t rest = insert->at + insert->replaced;

		memcpy(bytes, data, insert->at);
		memcpy(bytes + insert->at, insert->bytes, insert->size);
		memcpy(bytes + insert->at + insert->size, data + rest, size - rest);
	}
	return bytes;
}

static int decode_as_is(enum envelope_form form, const char *data, size_t size,
			struct envelope *envelope, struct proto_fault *fault)
{
	char *bytes = malloc(size > 0 ? size : 1);

	if (!bytes) {
		return -ENOMEM;
	}
	memcpy(bytes, data, size);
	return decode(form, bytes, size, envelope, fault);
}

int envelope_open(enum envelope_form form, const char *data, size_t size,
		  const struct proto_id *session, struct envelope *ret_envelope,
		  struct proto_fault *ret_fault)
{
	struct insert insert;
	bool inserted = form == ENVELOPE_JSON ? insert_json(data, size, session, &insert)
					      : insert_msgpack(data, size, session, &insert);
	int r = PROTO_E_MALFORMED;
	struct proto_id *at;

	*ret_envelope = ENVELOPE_INIT;
	if (inserted) {
		char *bytes = with_insert(data, size, &insert);

		if (!bytes) {
			return -ENOMEM;
		}
		r = decode(form, bytes, size - insert.replaced + insert.size, ret_envelope,
			   ret_fault);
	}
	if (r == PROTO_E_MALFORMED) {
		r = decode_as_is(form, data, size, ret_envelope, ret_fault);
	}
	at = r == 0 ? envelope_field(&ret_envelope->message, KEY, PROTO_KIND_ID) : NULL;
	if (at) {
		*at = *session;
	}
	return r;
}

int envelope_copy(const struct proto_message *message, struct envelope *ret_envelope)
{
	struct proto_buffer out = PROTO_BUFFER_INIT;
	struct envelope envelope = ENVELOPE_INIT;
	size_t size;
	int r = proto_encode(&out, &message->header, message->body);

	if (r != 0) {
		proto_buffer_deinit(&out);
		return r;
	}
	envelope.bytes = proto_buffer_take(&out, &size);
	r = proto_decode(envelope.bytes, size, &envelope.message, NULL);
	if (r != 0) {
		envelope_deinit(&envelope);
		return r > 0 ? -EINVAL : r;
	}
	*ret_envelope = envelope;
	return 0;
}

int envelope_seal(enum envelope_form form, const struct proto_header *header, const void *body,
		  struct frame **ret_frame)
{
	static struct proto_buffer out; /* one thread; kept for its memory */
	int r;

	proto_buffer_reset(&out);
	r = form == ENVELOPE_JSON ? proto_encode_json(&out, header, body)
				  : proto_encode(&out, header, body);
	if (r != 0) {
		return r;
	}
	return frame_new(form == ENVELOPE_JSON ? FRAME_TEXT : FRAME_BINARY, out.data, out.size,
			 ret_frame);
}
