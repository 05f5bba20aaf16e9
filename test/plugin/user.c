/* A program with the shared library that asks for the device cuda: status 0 if there is one. */
#include <stdio.h>
#include <vitx/vitx.h>

int main(void)
{
    vitx_precision_info info = VITX_PRECISION_INFO_INIT;
    if (vitx_precision_get(&info, "cuda", 0) == VITX_OK)
        return 0;
    fprintf(stderr, "%s\n", vitx_last_error());
    return 1;
}
