/* render/number.h: numbers as text, whatever the process's locale says about decimal points. */
#ifndef VX_RENDER_NUMBER_H
#define VX_RENDER_NUMBER_H

#include "base/sink.h"

#define VX_NUMBER_TEXT 32

/* As printf's "%.<digits>g" in the C locale ("0.25", "-1.5e-05"); digits 1 to 17. What is no
 * finite number becomes "null", which is all that JSON has for it. */
void vx_number_text(char out[VX_NUMBER_TEXT], double value, int digits);

/* Members of JSON: `before`, then the number with nine digits, which give every float32 back
 * exactly, or the text in quotes (NULL: null). */
int vx_put_number(vx_sink *out, const char *before, double value);
int vx_put_quoted(vx_sink *out, const char *before, const char *text);

#endif
