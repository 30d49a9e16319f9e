/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Prints docs/protocol.md, or with --vectors proto/vectors.json, or with --table the tables
 * themselves as JSON, for client libraries.
 *
 * What the tables know is never written by hand a second time: the golden tests compare the
 * committed files with this output, and `ninja regenerate` rewrites them.
 */

#include "proto/proto.h"
#include "proto/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char introduction[] =
	"# The wire protocol\n"
	"\n"
	"<!-- Printed by proto/describe.c from proto/messages.h, errors.h and limits.h; `ninja "
	"regenerate` rewrites it. -->\n"
	"\n"
	"Services, bots and scripts speak it over ZeroMQ, browsers over WebSocket. A message is "
	"one map, alone in one\n"
	"frame. Everything here stays true for ever: numbers and names are never used for "
	"something else, and fields are\n"
	"only added.\n"
	"\n"
	"## Frames\n"
	"\n"
	"| where | socket | frames | form |\n"
	"|---|---|---|---|\n"
	"| requests on the bus | DEALER to the service's ROUTER | the message | msgpack |\n"
	"| feeds on the bus | SUB to the service's XPUB | topic, the message | msgpack |\n"
	"| browser, `districhat.v1.json` | WebSocket | text: the message | JSON |\n"
	"| browser, `districhat.v1.msgpack` | WebSocket | binary: the message | msgpack |\n"
	"\n"
	"A topic is the 16 bytes of a room's id. The all-zero topic carries beacons, and all "
	"that the registry publishes.\n"
	"\n"
	"## The header\n"
	"\n"
	"The map holds the header and the fields side by side. Header keys have one letter, "
	"field keys more.\n"
	"\n"
	"| key | need | msgpack | JSON | |\n"
	"|---|---|---|---|---|\n"
	"| `t` | must | uint: number of the message | string: its name | type |\n"
	"| `i` | may | uint | number | id of the request, chosen by the caller; the answer "
	"repeats it |\n"
	"| `d` | may | uint | number | milliseconds that the caller will wait, counted from "
	"sending; past them the request is dropped |\n"
	"| `x` | may | bin, 16 bytes | 32 hex digits | trace id; appears in the logs of every "
	"service that works on the request |\n"
	"\n"
	"## Values\n"
	"\n"
	"| type | msgpack | JSON |\n"
	"|---|---|---|\n"
	"| bool | bool | `true`, `false` |\n"
	"| uint | uint, or a signed form of a number from 0 on | whole number without fraction "
	"or exponent |\n"
	"| id | bin, 16 bytes | string, 32 hex digits |\n"
	"| text | str, UTF-8 | string |\n"
	"| bytes | bin | string, base64 (RFC 4648 section 4, with padding) |\n"
	"| enum | str, one of its values | string |\n"
	"| list | array of maps | array of objects |\n"
	"\n"
	"- *must*: the key is there in every message. *may*: the writer leaves it out for "
	"`false`, 0, the all-zero id, the\n"
	"  empty text and the empty list, and the reader takes its absence for that value.\n"
	"- Keys come in any order. Unknown keys are skipped, so that newer writers can talk to "
	"older readers.\n"
	"- Refused as `malformed`: a key that stands twice in one map, a key that is no string, "
	"text that is not UTF-8,\n"
	"  bytes after the end of the map.\n"
	"- Our services write keys in the order of the tables below and every number in its "
	"shortest form.\n";

static const char client_part[] =
	"\n"
	"## A client by hand\n"
	"\n"
	"Everything a script needs is a ZeroMQ and a msgpack library. This asks a service "
	"whether it is there:\n"
	"\n"
	"```python\n"
	"import msgpack, zmq\n"
	"\n"
	"socket = zmq.Context().socket(zmq.DEALER)\n"
	"socket.connect(\"tcp://127.0.0.1:7001\")\n"
	"socket.send(msgpack.packb({\"t\": 3, \"i\": 1, \"d\": 5000}))  # ping\n"
	"answer = msgpack.unpackb(socket.recv())\n"
	"assert answer[\"i\"] == 1 and answer[\"t\"] == 2, answer  # ok; 1 is an error, with "
	"`code`\n"
	"```\n"
	"\n"
	"1. Number requests yourself (`i`). Answers may come in another order.\n"
	"2. An answer is the message named below, or `error`. No answer within `d`: the outcome "
	"is unknown.\n"
	"3. After an unknown outcome send the same request again. Writes carry `client` and "
	"`number` for that: the same pair\n"
	"   is never written twice.\n"
	"4. To follow a room: subscribe to its id at the owner's feed, *then* ask for its "
	"events, then drop what came twice.\n"
	"   A `seq` that jumps is a gap: ask with `room_events`.\n"
	"5. `not_owner` means that the slot has moved: look the room up again.\n"
	"6. Hold your codec against `proto/vectors.json`. It has for every message a full and a "
	"minimal instance in both\n"
	"   forms, unusual inputs that must be accepted, and bad ones with the error that they "
	"must give.\n";

struct limit {
	const char *name;
	uint64_t value;
	const char *text;
};

#define LIMIT(name, text)         \
	{                         \
#name, name, text \
	}
static const struct limit limits[] = {
	LIMIT(PROTO_FRAME_BYTES_MAX, "bytes of a frame on the bus"),
	LIMIT(PROTO_CLIENT_FRAME_BYTES_MAX, "bytes of a frame or HTTP body from a browser"),
	LIMIT(PROTO_DEPTH_MAX, "nesting of maps and lists in a frame, the outermost map counted"),
	LIMIT(PROTO_MAP_KEYS_MAX, "keys of one map, unknown ones included"),
	LIMIT(PROTO_NUMBER_MAX, "largest number: 2^53 - 1, what every JSON reader keeps exactly"),
	LIMIT(PROTO_EVENT_BYTES_MAX, "bytes of one encoded event"),
	LIMIT(PROTO_PAGE_MAX, "entries of one page"),
	LIMIT(PROTO_PAGE_BYTES_MAX, "bytes after which a page ends early, with `more` set"),
	LIMIT(PROTO_BATCH_MAX, "entries of one append, rooms of one beacon"),
	LIMIT(PROTO_SLOTS, "slots; a room's slot is the first 12 bits of its id"),
};

static const char *const at_names[] = {
	[PROTO_AT_NONE] = "none",
	[PROTO_AT_ANY] = "any service",
	[PROTO_AT_REGISTRY] = "registry",
	[PROTO_AT_ROOM] = "the roomd that owns the slot of `room`",
	[PROTO_AT_PERSONAL] = "the roomd that owns the slot of the session's user",
	[PROTO_AT_STORE] = "storaged",
};

static void print_limits(void)
{
	printf("\n## Limits\n\nA value past its limit is answered with `limit` and changes "
	       "nothing.\n\n"
	       "| limit | value | |\n|---|---|---|\n");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		printf("| `%s` | %" PRIu64 " | %s |\n", limits[i].name, limits[i].value,
		       limits[i].text);
	}
}

static void print_errors(void)
{
	const struct proto_error_info *error;

	printf("\n## Errors\n\nAn `error` message carries one of these as `code`. *sure*: "
	       "nothing was written and "
	       "nothing will be.\n*unknown*: the outcome is not known; send the same request "
	       "again, with the "
	       "same `client` and `number`.\n\n| code | HTTP | outcome | |\n|---|---|---|---|\n");
	for (size_t i = 0; (error = proto_error_at(i)) != NULL; i++) {
		printf("| `%s` | %u | %s | %s |\n", error->code, error->status,
		       error->sure ? "sure" : "unknown", error->text);
	}
}

static void print_enums(void)
{
	const struct proto_enum_info *info;

	printf("\n## Enums\n");
	for (size_t i = 0; (info = proto_enum_at(i)) != NULL; i++) {
		printf("\n### `%s`\n\n| value | since | |\n|---|---|---|\n", info->name);
		for (size_t k = 0; k < info->value_count; k++) {
			printf("| `%s` | %u | %s |\n", info->values[k].name, info->values[k].since,
			       info->values[k].text);
		}
	}
}

static void print_type(const struct proto_field *field)
{
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		printf("bool");
		break;
	case PROTO_KIND_U64:
		printf("uint");
		break;
	case PROTO_KIND_ID:
		printf("id");
		break;
	case PROTO_KIND_TEXT:
		printf("text");
		break;
	case PROTO_KIND_BYTES:
		printf("bytes");
		break;
	case PROTO_KIND_ENUM:
		printf("enum [%s](#%s)", field->values->name, field->values->name);
		break;
	case PROTO_KIND_LIST:
		printf("list of [%s](#%s)", field->record->name, field->record->name);
		break;
	}
}

static void print_max(const struct proto_field *field)
{
	if (field->max == 0) {
		return;
	}
	if (field->kind == PROTO_KIND_U64 && field->max == PROTO_NUMBER_MAX) {
		printf("2^53 - 1");
		return;
	}
	printf("%" PRIu64 "%s", field->max,
	       field->kind == PROTO_KIND_U64	? ""
	       : field->kind == PROTO_KIND_LIST ? " entries"
						: " bytes");
}

static void print_fields(const struct proto_record *record)
{
	if (record->field_count == 0) {
		printf("\nNo fields.\n");
		return;
	}
	printf("\n| field | type | need | max | since | |\n|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		printf("| `%s` | ", field->name);
		print_type(field);
		printf(" | %s | ", field->must ? "must" : "may");
		print_max(field);
		printf(" | %u | %s |\n", field->since, field->text);
	}
}

static void print_records(void)
{
	const struct proto_record *record;

	printf("\n## Records\n");
	for (size_t i = 0; (record = proto_record_at(i)) != NULL; i++) {
		printf("\n### `%s`\n\n%s.\n", record->name, record->text);
		print_fields(record);
	}
}

static bool is_record(const struct proto_record *record)
{
	const struct proto_record *other;

	for (size_t i = 0; (other = proto_record_at(i)) != NULL; i++) {
		if (other == record) {
			return true;
		}
	}
	return false;
}

static void print_routing(const struct proto_type_info *info)
{
	switch (info->caller) {
	case PROTO_CALLER_USER:
	case PROTO_CALLER_NODE:
	case PROTO_CALLER_ROOMD:
	case PROTO_CALLER_ALL:
	case PROTO_CALLER_STRANGER:
		printf("Asked by: %s. Answered by: %s, with `%s`.",
		       proto_caller_info(info->caller)->name, at_names[info->at],
		       proto_type_info(info->reply)->record->name);
		break;
	case PROTO_CALLER_FEED:
		printf(info->at == PROTO_AT_NONE ? "Sent by a gateway to a browser."
						 : "Published by: %s.",
		       at_names[info->at]);
		break;
	case PROTO_CALLER_REPLY:
		printf("An answer.");
		break;
	}
	printf(" Since %u.\n", info->since);
}

static const char *yes(bool may)
{
	return may ? "yes" : "";
}

static void print_messages(void)
{
	const struct proto_caller_info *caller;
	const struct proto_type_info *info;

	printf("\n## Messages\n\n"
	       "Who may ask for what, by the CURVE key of the connection. On ipc and "
	       "loopback sockets without keys everybody\nmay ask for everything.\n\n"
	       "| asked by | gateway | roomd | storaged | stranger | |\n"
	       "|---|---|---|---|---|---|\n");
	for (int i = 0; (caller = proto_caller_info((enum proto_caller)i)) != NULL; i++) {
		printf("| *%s* | %s | %s | %s | %s | %s |\n", caller->name, yes(caller->gateway),
		       yes(caller->roomd), yes(caller->storaged), yes(caller->stranger),
		       caller->text);
	}
	printf("\n| number | name | asked by | |\n|---|---|---|---|\n");
	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		printf("| %d | [`%s`](#message-%s) | %s | %s |\n", (int)info->type,
		       info->record->name, info->record->name,
		       proto_caller_info(info->caller)->name, info->text);
	}
	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		printf("\n### Message `%s`\n\nNumber %d: %s. ", info->record->name, (int)info->type,
		       info->text);
		print_routing(info);
		if (is_record(info->record)) {
			printf("\nFields: those of the record [`%s`](#%s).\n", info->record->name,
			       info->record->name);
		} else {
			print_fields(info->record);
		}
	}
}

static void print_document(void)
{
	fputs(introduction, stdout);
	printf("\nThis is version %d of the protocol.\n", PROTO_VERSION);
	fputs(client_part, stdout);
	print_limits();
	print_errors();
	print_enums();
	print_records();
	print_messages();
}

/* --- as JSON: names, types and limits, all that a codec must know --- */

static const char *const kind_names[] = {
	[PROTO_KIND_BOOL] = "bool", [PROTO_KIND_U64] = "uint",	  [PROTO_KIND_ID] = "id",
	[PROTO_KIND_TEXT] = "text", [PROTO_KIND_BYTES] = "bytes", [PROTO_KIND_ENUM] = "enum",
	[PROTO_KIND_LIST] = "list",
};

static const char *field_of(const struct proto_field *field)
{
	return field->kind == PROTO_KIND_ENUM	? field->values->name
	       : field->kind == PROTO_KIND_LIST ? field->record->name
						: "";
}

static void print_table_fields(const struct proto_record *record)
{
	printf("[");
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		printf("%s[\"%s\", \"%s\", %s, \"%s\", %" PRIu64 "]", i > 0 ? ", " : "",
		       field->name, kind_names[field->kind], field->must ? "true" : "false",
		       field_of(field), field->max);
	}
	printf("]");
}

static void print_table_records(void)
{
	const struct proto_record *record;

	printf(" \"records\": {");
	for (size_t i = 0; (record = proto_record_at(i)) != NULL; i++) {
		printf("%s\n  \"%s\": ", i > 0 ? "," : "", record->name);
		print_table_fields(record);
	}
	printf("},\n");
}

static void print_table_messages(void)
{
	const struct proto_type_info *info;

	printf(" \"messages\": {");
	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		printf("%s\n  \"%s\": {\"number\": %d, \"caller\": \"%s\", \"fields\": ",
		       i > 0 ? "," : "", info->record->name, (int)info->type,
		       proto_caller_info(info->caller)->name);
		print_table_fields(info->record);
		printf("}");
	}
	printf("}}\n");
}

static void print_table_enums(void)
{
	const struct proto_enum_info *info;

	printf(" \"enums\": {");
	for (size_t i = 0; (info = proto_enum_at(i)) != NULL; i++) {
		printf("%s\n  \"%s\": [", i > 0 ? "," : "", info->name);
		for (size_t k = 0; k < info->value_count; k++) {
			printf("%s\"%s\"", k > 0 ? ", " : "", info->values[k].name);
		}
		printf("]");
	}
	printf("},\n");
}

static void print_table(void)
{
	const struct proto_error_info *error;

	printf("{\"version\": %d,\n \"limits\": {", PROTO_VERSION);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", limits[i].name, limits[i].value);
	}
	printf("},\n \"errors\": {");
	for (size_t i = 0; (error = proto_error_at(i)) != NULL; i++) {
		printf("%s\n  \"%s\": \"%s\"", i > 0 ? "," : "", error->code,
		       error->sure ? "sure" : "unknown");
	}
	printf("},\n");
	print_table_enums();
	print_table_records();
	print_table_messages();
}

int main(int argc, char **argv)
{
	int r = 0;

	if (argc == 1) {
		print_document();
	} else if (argc == 2 && strcmp(argv[1], "--vectors") == 0) {
		r = vectors_print(stdout);
	} else if (argc == 2 && strcmp(argv[1], "--table") == 0) {
		print_table();
	} else {
		fprintf(stderr, "usage: %s [--vectors|--table]\n", argv[0]);
		return EXIT_FAILURE;
	}
	return r == 0 && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
