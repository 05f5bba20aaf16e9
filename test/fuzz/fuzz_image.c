/* A picture in memory, of any kind but those of fuzz_heif.c. */
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8 || memcmp(data + 4, "ftyp", 4) != 0)
        fuzz_picture(data, size);
    return 0;
}
