/* render/ticks.h: numbers at axes and colour bars. */
#ifndef VX_RENDER_TICKS_H
#define VX_RENDER_TICKS_H

#define VX_NUMBER 40

/* With so many digits behind the point, which is one whatever the locale says. */
void vx_put_fixed(char text[VX_NUMBER], double value, int decimals);
/* 1, 2 or 5 times a power of ten, `share` (above 0) at least; *decimals are what it takes. */
double vx_nice_step(double share, int *decimals);

#endif
