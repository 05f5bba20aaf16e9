/* render/ticks.c: see ticks.h. */
#include "render/ticks.h"

#include <math.h>
#include <stdio.h>

void vx_put_fixed(char text[VX_NUMBER], double value, int decimals)
{
    double unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    if (!(fabs(value) * unit < 1e15)) {
        snprintf(text, VX_NUMBER, "-");
        return;
    }
    const long long whole = llround(fabs(value) * unit), one = (long long)unit;
    const int used =
        snprintf(text, VX_NUMBER, "%s%lld", value < 0 && whole ? "-" : "", whole / one);
    if (decimals)
        snprintf(text + used, (size_t)(VX_NUMBER - used), ".%0*lld", decimals, whole % one);
}

double vx_nice_step(double share, int *decimals)
{
    const int power = (int)floor(log10(share));
    const double unit = pow(10, power), times = share / unit;
    const double step = times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10;
    *decimals = power + (step == 10) < 0 ? -(power + (step == 10)) : 0;
    return step * unit;
}
