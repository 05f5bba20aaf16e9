/* base/text.h: numbers in text, whatever the process's locale says about decimal points. */
#ifndef VX_BASE_TEXT_H
#define VX_BASE_TEXT_H

#include <stdbool.h>

/* The whole of `text` as a decimal number ("-0.25", "1e-3"); false for anything else, infinities
 * and NaN among it. Numbers of up to 15 digits and |exponent| up to 22 are rounded correctly. */
bool vx_parse_double(const char *text, double *out);
/* The whole of `text` as a decimal integer of type int. */
bool vx_parse_int(const char *text, int *out);

/* Whether `text` is `word`, letter case of ASCII ignored. */
bool vx_same_word(const char *text, const char *word);

#endif
