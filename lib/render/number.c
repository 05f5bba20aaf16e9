/*
 * render/number.c: printf does the rounding, its digits are put together again here.
 *
 * "%.*e" gives [-]d<point>ddde[+-]xx, where <point> is the locale's and may be several bytes. So
 * only the digits and the exponent are taken from it.
 */
#include "render/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* Splits value's digits (no point, no zeros at the end) and its decimal exponent. */
static int split(char digits[20], int *exponent, double value, int count)
{
    char text[64];
    int n = 0;
    const char *p = text;
    snprintf(text, sizeof text, "%.*e", count - 1, fabs(value));
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    *exponent = 0;
    for (const char *q = p + 2; *q; q++)
        *exponent = *exponent * 10 + (*q - '0');
    if (p[1] == '-')
        *exponent = -*exponent;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

void vx_number_text(char out[VX_NUMBER_TEXT], double value, int digits)
{
    if (!isfinite(value)) {
        strcpy(out, "null");
        return;
    }
    char d[20] = "";
    int exponent;
    const int n = split(d, &exponent, value, digits);
    char *p = out;
    if (signbit(value))
        *p++ = '-';
    if (exponent < -4 || exponent >= digits) { /* 1.5e-05 */
        *p++ = d[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, d + 1, (size_t)(n - 1));
            p += n - 1;
        }
        sprintf(p, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
        return;
    }
    if (exponent < 0) { /* 0.00015 */
        *p++ = '0';
        *p++ = '.';
        for (int i = -1; i > exponent; i--)
            *p++ = '0';
    }
    for (int i = 0; i < n || i <= exponent; i++) { /* 15, 1.5, 1500 */
        if (i == exponent + 1 && exponent >= 0)
            *p++ = '.';
        *p++ = i < n ? d[i] : '0';
    }
    *p = '\0';
}

int vx_put_number(vx_sink *out, const char *before, double value)
{
    char text[VX_NUMBER_TEXT];
    vx_number_text(text, value, 9);
    VX_TRY(vx_sink_text(out, before));
    return vx_sink_text(out, text);
}

int vx_put_quoted(vx_sink *out, const char *before, const char *text)
{
    VX_TRY(vx_sink_text(out, before));
    return text ? vx_json_quote(out, text) : vx_sink_text(out, "null");
}
