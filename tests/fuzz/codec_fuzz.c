/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Fuzzes both codecs. The first byte selects the form, the rest is the input: 'm' msgpack, 'j'
 * JSON, 'r' a bare record as msgpack (the event, as storage keeps it). What is accepted must
 * encode, decode again, and encode to the same bytes; and what both forms say must be the same.
 */

#include "proto/proto.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fuzzer finds inputs by crashes; assert() would hide behind NDEBUG. */
static void require(bool truth, const char *what)
{
	if (!truth) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static void check_json(const struct proto_message *message)
{
	struct proto_buffer first = PROTO_BUFFER_INIT;
	struct proto_buffer second = PROTO_BUFFER_INIT;
	struct proto_message again;

	/* JSON may need more room than msgpack. */
	if (proto_encode_json(&first, &message->header, message->body) == 0) {
		require(proto_decode_json(first.data, first.size, &again, NULL) == 0,
			"JSON is not read back");
		require(proto_encode_json(&second, &again.header, again.body) == 0,
			"JSON is not written again");
		require(first.size == second.size &&
				memcmp(first.data, second.data, first.size) == 0,
			"JSON differs");
		proto_message_deinit(&again);
	}
	proto_buffer_deinit(&first);
	proto_buffer_deinit(&second);
}

static void check_msgpack(const struct proto_message *message)
{
	struct proto_buffer first = PROTO_BUFFER_INIT;
	struct proto_buffer second = PROTO_BUFFER_INIT;
	struct proto_message again;

	require(proto_encode(&first, &message->header, message->body) == 0,
		"msgpack is not written");
	require(proto_decode(first.data, first.size, &again, NULL) == 0,
		"msgpack is not read back");
	require(proto_encode(&second, &again.header, again.body) == 0,
		"msgpack is not written again");
	require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
		"msgpack differs");
	proto_message_deinit(&again);
	proto_buffer_deinit(&first);
	proto_buffer_deinit(&second);
}

static void check_record(const uint8_t *data, size_t size)
{
	struct proto_buffer first = PROTO_BUFFER_INIT;
	struct proto_buffer second = PROTO_BUFFER_INIT;
	struct proto_message message;
	struct proto_message again;

	if (proto_decode_record(PROTO_RECORD(event), data, size, &message, NULL) != 0) {
		return;
	}
	require(proto_encode_record(&first, PROTO_RECORD(event), message.body) == 0,
		"record is not written");
	require(proto_decode_record(PROTO_RECORD(event), first.data, first.size, &again, NULL) == 0,
		"record is not read back");
	require(proto_encode_record(&second, PROTO_RECORD(event), again.body) == 0,
		"record is not written again");
	require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
		"record differs");
	proto_message_deinit(&message);
	proto_message_deinit(&again);
	proto_buffer_deinit(&first);
	proto_buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_message message = PROTO_MESSAGE_INIT;
	struct proto_fault fault;
	int r;

	if (size == 0) {
		return 0;
	}
	if (data[0] == 'r') {
		check_record(data + 1, size - 1);
		return 0;
	}
	r = data[0] == 'j' ? proto_decode_json((const char *)data + 1, size - 1, &message, &fault)
			   : proto_decode(data + 1, size - 1, &message, &fault);
	require(r >= 0, "out of memory");
	if (r == 0) {
		check_msgpack(&message);
		check_json(&message);
	} else {
		require(message.memory == NULL, "a refused message has memory");
		require((int)fault.error == r && strlen(fault.detail) > 0,
			"a fault without a reason");
		require(proto_span_is_utf8(proto_span(fault.detail)), "a detail that is not UTF-8");
	}
	proto_message_deinit(&message);
	return 0;
}
