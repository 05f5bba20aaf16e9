/* base/text.h: numbers and names in text, whatever the process's locale says about decimal
 * points. */
#ifndef VX_BASE_TEXT_H
#define VX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The whole of `text` as a decimal number ("-0.25", "1e-3"); false for anything else, infinities
 * and NaN among it. Numbers of up to 15 digits and |exponent| up to 22 are rounded correctly. */
bool vx_parse_double(const char *text, double *out);
/* The whole of `text` as a decimal integer of type int. */
bool vx_parse_int(const char *text, int *out);

/* Whether `text` is `word`, letter case of ASCII ignored. */
bool vx_same_word(const char *text, const char *word);

/* The names of a table by index, NULL past the last. */
typedef const char *vx_name_at(int index);
/* "a, b, c" in text [size], as many as there is room for. Returns text. */
const char *vx_name_list(char *text, size_t size, vx_name_at *name_at);
/* Which of the names `name` is. VITX_INVALID if it is NULL or none of them; the message calls it a
 * `what` and lists all. */
int vx_find_name(int *out, const char *name, vx_name_at *name_at, const char *what);

/* What follows the last slash or backslash. */
const char *vx_base_name(const char *name);

#endif
