/*
 * image/wide.c: samples of more than 8 bits to 8, as medical and scientific pictures have them.
 *
 * A window LOW, HIGH maps sample v to (v - LOW) / (HIGH - LOW) * 255, rounded, and clamped to
 * 0..255. What is not a number is 0.
 */
#include "image/codec.h"

#include <float.h>
#include <math.h>

/* IEEE 754 binary16. */
static double half(uint16_t v)
{
    const int exponent = v >> 10 & 31, rest = v & 1023;
    const double size = exponent == 31 ? (rest ? NAN : INFINITY)
                        : exponent     ? ldexp(1024 + rest, exponent - 25)
                                       : ldexp(rest, -24);
    return v & 0x8000 ? -size : size;
}

static double value(const vx_samples *s, size_t i)
{
    switch (s->type) {
    case VX_U16:
        return ((const uint16_t *)s->data)[i];
    case VX_I16:
        return ((const int16_t *)s->data)[i];
    case VX_U32:
        return ((const uint32_t *)s->data)[i];
    case VX_I32:
        return ((const int32_t *)s->data)[i];
    case VX_F16:
        return half(((const uint16_t *)s->data)[i]);
    case VX_F32:
        return (double)((const float *)s->data)[i];
    case VX_F64:
        break;
    }
    return ((const double *)s->data)[i];
}

/* Least and greatest finite value of the colours; *least > *most where there is none. */
static void find_range(double *least, double *most, const vx_samples *s)
{
    const size_t n = (size_t)s->channels, colours = n >= 3 ? 3 : 1;
    *least = DBL_MAX;
    *most = -DBL_MAX;
    for (size_t i = 0; i < s->pixels; i++)
        for (size_t k = 0; k < colours; k++) {
            const double v = value(s, i * n + k);
            if (!isfinite(v))
                continue;
            *least = v < *least ? v : *least;
            *most = v > *most ? v : *most;
        }
}

/* Ten or twelve bits in sixteen, as scanners and microscopes write them, are all but black once
 * only the high byte is left. A picture of one colour loses nothing. */
static void warn_of_range(const vx_samples *s, const vx_source *source)
{
    const int full = 1 << s->bits, sixteenth = full / 16, drop = s->bits - 8;
    double least, most;
    find_range(&least, &most, s);
    if (least < most && most - least < sixteenth)
        vx_log(source->hooks, VITX_LOG_WARNING,
               "%s: %d-bit samples from %.0f to %.0f of %d: less than 1/16 of the range, and only "
               "their high bytes are seen, %d to %d of 255; a window (--window %.0f,%.0f) shows "
               "all of them",
               source->name, s->bits, least, most, full - 1, (int)least >> drop, (int)most >> drop,
               least, most);
}

static void warn_of_spread(const vx_source *source, double least, double most)
{
    vx_log(source->hooks, VITX_LOG_WARNING,
           "%s: its samples, from %g to %g, are spread over 0 to 255; another picture has another "
           "range, and a window (--window LOW,HIGH) is the same for all",
           source->name, least, most);
}

static uint8_t through_window(double v, double low, double scale)
{
    const double x = (v - low) * scale;
    return (uint8_t)(x >= 255 ? 255 : x > 0 ? x + 0.5 : 0); /* 0 for what is not a number */
}

void vx_narrow(uint8_t *out, const vx_samples *samples, const vx_source *source)
{
    const size_t n = (size_t)samples->channels;
    const size_t green = n >= 3 ? 1 : 0, blue = n >= 3 ? 2 : 0;
    const uint8_t flip = samples->inverted ? 255 : 0;
    if (samples->type == VX_U16 && !source->windowed) {
        const uint16_t *v = samples->data;
        const int drop = samples->bits - 8;
        for (size_t i = 0; i < samples->pixels; i++, v += n, out += 3) {
            out[0] = (uint8_t)(v[0] >> drop) ^ flip;
            out[1] = (uint8_t)(v[green] >> drop) ^ flip;
            out[2] = (uint8_t)(v[blue] >> drop) ^ flip;
        }
        warn_of_range(samples, source);
        return;
    }
    double low = source->low, high = source->high;
    if (!source->windowed) {
        find_range(&low, &high, samples);
        warn_of_spread(source, low, high);
    }
    const double scale = high > low ? 255 / (high - low) : 0;
    for (size_t i = 0; i < samples->pixels; i++, out += 3) {
        const size_t at = i * n;
        out[0] = through_window(value(samples, at), low, scale) ^ flip;
        out[1] = through_window(value(samples, at + green), low, scale) ^ flip;
        out[2] = through_window(value(samples, at + blue), low, scale) ^ flip;
    }
}
