/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Test vectors for codecs in any language: proto/vectors.json. */

#include <stdio.h>

/* Writes them all. Returns 0, or -errno if a message cannot be encoded. */
int vectors_print(FILE *out);
