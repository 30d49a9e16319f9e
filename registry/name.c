/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Names. Case is folded by the C library's tables for C.UTF-8, letter by letter: what people expect
 * of a name, without the locale of the machine having a say.
 */

#include "registry/name.h"

#include <ctype.h>
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

/* --- letters --- */

/* Reads one code point; malformed bytes stand for themselves. Returns the bytes read. */
static size_t letter_read(const char *data, size_t size, uint32_t *ret_letter)
{
	unsigned char first = (unsigned char)data[0];
	size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t letter;

	if (length > size) {
		*ret_letter = first;
		return 1;
	}
	letter = first & masks[length];
	for (size_t i = 1; i < length; i++) {
		letter = letter << 6 | ((unsigned char)data[i] & 0x3f);
	}
	*ret_letter = letter;
	return length;
}

static size_t letter_write(uint32_t letter, char *data)
{
	if (letter < 0x80) {
		data[0] = (char)letter;
		return 1;
	}
	if (letter < 0x800) {
		data[0] = (char)(0xc0 | letter >> 6);
		data[1] = (char)(0x80 | (letter & 0x3f));
		return 2;
	}
	if (letter < 0x10000) {
		data[0] = (char)(0xe0 | letter >> 12);
		data[1] = (char)(0x80 | (letter >> 6 & 0x3f));
		data[2] = (char)(0x80 | (letter & 0x3f));
		return 3;
	}
	data[0] = (char)(0xf0 | letter >> 18);
	data[1] = (char)(0x80 | (letter >> 12 & 0x3f));
	data[2] = (char)(0x80 | (letter >> 6 & 0x3f));
	data[3] = (char)(0x80 | (letter & 0x3f));
	return 4;
}

static uint32_t letter_fold(uint32_t letter)
{
	static locale_t locale;

	if (!locale) {
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	}
	if (letter < 0x80) {
		return (uint32_t)tolower((int)letter);
	}
	return locale ? (uint32_t)towlower_l((wint_t)letter, locale) : letter;
}

/* --- names --- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct proto_span name_trim(struct proto_span text)
{
	while (text.size > 0 && is_space(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && is_space(text.data[text.size - 1])) {
		text.size--;
	}
	return text;
}

void name_fold(struct proto_span text, struct name_folded *ret_folded)
{
	struct proto_span rest = name_trim(text);
	size_t size = 0;

	while (rest.size > 0 && size + 4 <= NAME_FOLDED_BYTES_MAX) {
		uint32_t letter;
		size_t n = letter_read(rest.data, rest.size, &letter);

		size += letter_write(letter_fold(letter), ret_folded->text + size);
		rest.data += n;
		rest.size -= n;
	}
	ret_folded->text[size] = '\0';
	ret_folded->size = size;
}

static bool is_user_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

bool name_is_user(struct proto_span name)
{
	if (name.size < NAME_USER_MIN || name.size > NAME_USER_MAX ||
	    !isalnum((unsigned char)name.data[0])) {
		return false;
	}
	for (size_t i = 0; i < name.size; i++) {
		if ((unsigned char)name.data[i] >= 0x80 || !is_user_char(name.data[i])) {
			return false;
		}
	}
	return true;
}

static bool has_control(struct proto_span text)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && i + 1 < text.size && (unsigned char)text.data[i + 1] < 0xa0)) {
			return true;
		}
	}
	return false;
}

bool name_is_label(struct proto_span label)
{
	return label.size > 0 && label.size <= PROTO_NAME_BYTES_MAX && !has_control(label);
}

bool name_is_email(struct proto_span email)
{
	const char *at = email.size > 0 ? memchr(email.data, '@', email.size) : NULL;
	size_t local = at ? (size_t)(at - email.data) : 0;
	size_t domain = at ? email.size - local - 1 : 0;

	if (local == 0 || domain == 0 || email.size > PROTO_EMAIL_BYTES_MAX || has_control(email)) {
		return false;
	}
	if (memchr(email.data, ' ', email.size) || memchr(at + 1, '@', domain)) {
		return false;
	}
	return at[1] != '.' && email.data[email.size - 1] != '.' &&
	       !memmem(at, domain + 1, "..", 2);
}
