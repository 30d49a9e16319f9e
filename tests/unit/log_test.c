/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Log lines: one line an event, whatever the values hold. */

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "services/log.h"

static void setup(void)
{
	cr_redirect_stderr();
	log_init("test", "test-1", LOG_LEVEL_INFO);
}

static size_t logged(char *ret_text, size_t size)
{
	FILE *in = cr_get_redirected_stderr();
	size_t n = fread(ret_text, 1, size - 1, in);

	ret_text[n] = '\0';
	return n;
}

Test(log, values_are_quoted_where_needed, .init = setup)
{
	char text[1024];
	char *fields;

	log_info("a.happened", LOG_TEXT("plain", "x"), LOG_TEXT("spaced", "a b"),
		 LOG_TEXT("empty", ""), LOG_TEXT("quote", "say \"hi\""),
		 LOG_TEXT("forged", "x\nlevel=error event=b"), LOG_NUMBER("n", -5),
		 LOG_SPAN("span", PROTO_SPAN("a=b")), LOG_TEXT("control", "\x01"));
	logged(text, sizeof(text));
	fields = strstr(text, " level=");
	cr_assert_not_null(fields);
	cr_assert_str_eq(
		fields,
		" level=info service=test node=test-1 event=a.happened plain=x spaced=\"a b\" "
		"empty=\"\" "
		"quote=\"say \\\"hi\\\"\" forged=\"x\\nlevel=error event=b\" n=-5 span=\"a=b\" "
		"control=\"\\x01\"\n");
}

Test(log, a_long_line_is_cut_and_stays_one_line, .init = setup)
{
	char text[8192];
	char *big = malloc(6000);
	size_t n;

	memset(big, 'x', 5999);
	big[5999] = '\0';
	log_warn("a.happened", LOG_TEXT("big", big));
	n = logged(text, sizeof(text));
	cr_assert_leq(n, 4096);
	cr_assert_not_null(strstr(text, "event=a.happened"));
	cr_assert_eq(strchr(text, '\n'), text + n - 1);
	free(big);
}

Test(log, levels, .init = setup)
{
	char text[1024];

	log_debug("quiet");
	log_error("loud");
	logged(text, sizeof(text));
	cr_assert_null(strstr(text, "quiet"));
	cr_assert_not_null(strstr(text, "level=error"));
}
