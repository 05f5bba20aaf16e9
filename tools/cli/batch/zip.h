/* batch/zip.h: a zip whose members are stored as they are (what NumPy's savez writes), with zip64
 * where numbers are too large for the old fields. It is written from its beginning to its end. */
#ifndef CLI_BATCH_ZIP_H
#define CLI_BATCH_ZIP_H

#include <stdio.h>

#include "commit.h"
#include "tools/cli/text.h"

struct zip {
    struct part *part;
    struct text directory; /* for the end */
    int64_t members;
};

uint32_t zip_crc(uint32_t crc, const void *data, size_t bytes); /* crc: 0 at first */

/* The header of a member, behind which its bytes are written: part_write(). */
bool zip_begin(struct zip *zip, const char *name, uint64_t bytes, uint32_t crc);
bool zip_add(struct zip *zip, const char *name, const void *data, size_t bytes);
bool zip_end(struct zip *zip);

/* The header of a member that zip_begin() wrote, which comes next in the file; false: there is
 * none. Its name, ended by '\0', is at most size - 1 bytes long. */
bool zip_read(FILE *file, char *name, size_t size, uint64_t *bytes, uint32_t *crc);

/* The header of an .npy: float32, C order. */
void npy_header(struct text *out, int64_t rows, int columns);

#endif
