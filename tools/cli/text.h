/* cli/text.h: a text that grows, and JSON in it. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero before the first use. Once memory has run out nothing is added any more, and `failed` says
 * so. */
struct text {
    char *data; /* ended by '\0'; NULL: empty */
    size_t length, room;
    bool failed;
};

void text_add(struct text *text, const void *data, size_t bytes);
void text_put(struct text *text, const char *words);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes of the UTF-8 character at p; 0: none (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF). The text ends in a zero byte. */
int utf8_length(const unsigned char *p);
/* Bytes of the text's first characters, at most `most`. */
int text_beginning(const char *text, int most);
/* Bytes of the byte order mark that a file's text begins with, as editors on Windows write it: 3,
 * or 0. */
size_t text_mark(const char *text, size_t bytes);
/* For tables of texts: FNV-1a. */
uint64_t text_hash(const char *text);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD; NULL becomes null. */
void text_json(struct text *text, const char *words);
/* A number with the digits that give the float again; null if it is none that JSON has. */
void text_number(struct text *text, double value);
/* The bytes in base64 (RFC 4648, with padding). */
void text_base64(struct text *text, const void *data, size_t bytes);
/* For vitx_render_write() and its like; payload: the text. */
int text_write(const void *data, size_t bytes, void *payload);
void text_free(struct text *text);

#endif
