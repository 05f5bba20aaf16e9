/*
 * Drives a fuzz target without libFuzzer: every file of the folders that are named, as it is and
 * cut short. Ends with the number of inputs, and fails where there are none or the target took none
 * for good.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_INPUT (1 << 20)

static long inputs;

static void replay(const char *path)
{
    static uint8_t read[MAX_INPUT];
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    const size_t size = fread(read, 1, sizeof read, f);
    fclose(f);
    for (int part = 4; part >= 1; part--) {
        const size_t n = size * (size_t)part / 4;
        uint8_t *exact = malloc(n ? n : 1); /* so that a byte too much is seen */
        if (!exact)
            abort();
        memcpy(exact, read, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    inputs++;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            fprintf(stderr, "%s: no folder\n", argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir));) {
            char path[1000];
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (e->d_name[0] != '.')
                replay(path);
        }
        closedir(dir);
    }
    printf("%ld inputs, %ld taken for good\n", inputs, fuzz_accepted);
    return inputs > 0 && fuzz_accepted > 0 ? 0 : 1;
}
