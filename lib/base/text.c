/* base/text.c: see text.h. strtod is not used: it follows the process's locale. */
#include "base/text.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits into *mantissa while they fit; those beyond only count in *dropped. */
static const char *read_digits(const char *p, uint64_t *mantissa, int *count, int *dropped)
{
    for (; is_digit(*p); p++, (*count)++) {
        if (*mantissa < (UINT64_MAX - 9) / 10)
            *mantissa = *mantissa * 10 + (uint64_t)(*p - '0');
        else
            (*dropped)++;
    }
    return p;
}

/* value * 10^exponent; one rounding while the value and the power are exact doubles. */
static double scale10(double value, int exponent)
{
    for (; exponent > 22; exponent -= 22)
        value *= 1e22;
    for (; exponent < -22; exponent += 22)
        value /= 1e22;
    double power = 1;
    for (int i = exponent < 0 ? -exponent : exponent; i > 0; i--)
        power *= 10; /* exact up to 10^22 */
    return exponent < 0 ? value / power : value * power;
}

bool vx_parse_double(const char *text, double *out)
{
    const char *p = text;
    const bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    uint64_t mantissa = 0;
    int count = 0, dropped = 0;
    p = read_digits(p, &mantissa, &count, &dropped);
    int64_t exponent = dropped;
    if (*p == '.') {
        int places = 0, lost = 0;
        p = read_digits(p + 1, &mantissa, &places, &lost);
        exponent -= places - lost;
        count += places;
    }
    if (count == 0 || count > 4000)
        return false;
    if (*p == 'e' || *p == 'E') {
        int given;
        if (!vx_parse_int(p + 1, &given) || given > 10000 || given < -10000)
            return false;
        exponent += given;
        p = "";
    }
    const double value = scale10((double)mantissa, (int)exponent);
    if (*p != '\0' || !isfinite(value))
        return false;
    *out = negative ? -value : value;
    return true;
}

bool vx_parse_int(const char *text, int *out)
{
    const char *p = text;
    const bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    if (!is_digit(*p))
        return false;
    int64_t value = 0;
    for (; is_digit(*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > (int64_t)INT_MAX + 1)
            return false;
    }
    value = negative ? -value : value;
    if (*p != '\0' || value > INT_MAX || value < INT_MIN)
        return false;
    *out = (int)value;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool vx_same_word(const char *text, const char *word)
{
    size_t i = 0;
    while (text[i] && lower(text[i]) == lower(word[i]))
        i++;
    return text[i] == '\0' && word[i] == '\0';
}

const char *vx_name_list(char *text, size_t size, vx_name_at *name_at)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; name_at(i) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", name_at(i));
    return text;
}

int vx_find_name(int *out, const char *name, vx_name_at *name_at, const char *what)
{
    char list[512];
    if (!name)
        return vx_fail(VITX_INVALID, "no %s is given", what);
    for (int i = 0; name_at(i); i++)
        if (strcmp(name_at(i), name) == 0) {
            *out = i;
            return VITX_OK;
        }
    return vx_fail(VITX_INVALID, "no %s \"%s\"; there are: %s", what, name,
                   vx_name_list(list, sizeof list, name_at));
}

const char *vx_base_name(const char *name)
{
    const char *base = name;
    for (const char *p = name; *p; p++)
        if ((*p == '/' || *p == '\\') && p[1])
            base = p + 1;
    return base;
}
