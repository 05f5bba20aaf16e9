/* render/number.h: numbers as text, whatever the process's locale says about decimal points. */
#ifndef VX_RENDER_NUMBER_H
#define VX_RENDER_NUMBER_H

#define VX_NUMBER_TEXT 32

/* As printf's "%.<digits>g" in the C locale ("0.25", "-1.5e-05"); digits 1 to 17. What is no
 * finite number becomes "null", which is all that JSON has for it. */
void vx_number_text(char out[VX_NUMBER_TEXT], double value, int digits);

#endif
