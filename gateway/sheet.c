/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See sheet.h. */

#include "gateway/sheet.h"

struct frame *sheet_frame(struct sheet *sheet, enum envelope_form form)
{
	const struct proto_header header = {.type = sheet->type};

	if (!sheet->frames[form] &&
	    envelope_seal(form, &header, sheet->body, &sheet->frames[form]) != 0) {
		return NULL;
	}
	return sheet->frames[form];
}

void sheet_deinit(struct sheet *sheet)
{
	frame_unref(sheet->frames[ENVELOPE_JSON]);
	frame_unref(sheet->frames[ENVELOPE_MSGPACK]);
}
