/*
 * kernels/cuda/host/copy.cpp: the copies of vx_cp_async16, in a file of their own, because
 * machine.cpp is compiled without the thread sanitizer, which is to see these.
 */
#include "kernels/cuda/host/machine.h"

#include <string.h>

/* Two stores: a memset of so few bytes is no call, and gcc's thread sanitizer does not see it. */
void vx_machine_poison16(void *to)
{
    typedef uint64_t __attribute__((may_alias)) word;
    word *at = (word *)to;
    at[0] = at[1] = ~(word)0;
}

void vx_machine_copy16(void *to, const void *from, int bytes)
{
    if (bytes > 0)
        memcpy(to, from, (size_t)bytes);
    if (bytes < 16)
        memset((char *)to + bytes, 0, (size_t)(16 - bytes));
}
