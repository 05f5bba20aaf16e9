/* An AVIF or HEIC in memory, if vitx was built with their libraries. Not in CI: what is found there
 * is theirs, and depends on the machine's versions (test/fuzz/run.sh). */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_picture(data, size);
    return 0;
}
