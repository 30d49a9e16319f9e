/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See websocket.h. */

#include "cli/websocket.h"

#include <endian.h>
#include <string.h>

#define FIN 0x80
#define MASKED 0x80
#define LENGTH_16 126
#define LENGTH_64 127
#define MASK_BYTES 4

bool websocket_parse(const char *data, size_t size, struct websocket_frame *ret_frame)
{
	const unsigned char *bytes = (const unsigned char *)data;
	struct websocket_frame frame = {.header_size = 2};
	uint16_t length_16;
	uint64_t length_64;

	if (size < 2) {
		return false;
	}
	frame.opcode = bytes[0] & 0xf;
	frame.final = bytes[0] & FIN;
	frame.size = bytes[1] & 0x7f;
	if (frame.size == LENGTH_16) {
		frame.header_size += sizeof(length_16);
	} else if (frame.size == LENGTH_64) {
		frame.header_size += sizeof(length_64);
	}
	if (size < frame.header_size) {
		return false;
	}
	if (frame.size == LENGTH_16) {
		memcpy(&length_16, bytes + 2, sizeof(length_16));
		frame.size = be16toh(length_16);
	} else if (frame.size == LENGTH_64) {
		memcpy(&length_64, bytes + 2, sizeof(length_64));
		frame.size = be64toh(length_64);
	}
	*ret_frame = frame;
	return true;
}

size_t websocket_header(char *to, enum websocket_opcode opcode, size_t payload_size)
{
	uint16_t length_16 = htobe16((uint16_t)payload_size);
	uint64_t length_64 = htobe64(payload_size);
	size_t size = 2;

	to[0] = (char)(FIN | opcode);
	if (payload_size < LENGTH_16) {
		to[1] = (char)(MASKED | payload_size);
	} else if (payload_size <= UINT16_MAX) {
		to[1] = (char)(MASKED | LENGTH_16);
		memcpy(to + size, &length_16, sizeof(length_16));
		size += sizeof(length_16);
	} else {
		to[1] = (char)(MASKED | LENGTH_64);
		memcpy(to + size, &length_64, sizeof(length_64));
		size += sizeof(length_64);
	}
	memset(to + size, 0, MASK_BYTES);
	return size + MASK_BYTES;
}
