/*
 * test/fuzz/fuzz.h: what the fuzz targets share.
 *
 * A target is test/fuzz/fuzz_<name>.c with LLVMFuzzerTestOneInput; its seeds, and inputs that once
 * found something, are test/fuzz/corpus/<name>/. clang's libFuzzer drives it (make fuzz), or main()
 * in replay.c, which any compiler builds and make check runs over the corpus.
 */
#ifndef VX_TEST_FUZZ_H
#define VX_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <vitx/vitx.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs that were taken for good so far: a corpus in which none is tests little. */
extern long fuzz_accepted;

/* Memory up to 256 MB, beyond which allocations fail. */
const vitx_hooks *fuzz_hooks(void);

/* After every input: what was allocated has been given back. */
void fuzz_nothing_left(void);

/* A failure has a message of one line. */
void fuzz_check_message(int status);

/* Opens a picture, as it is, and otherwise: cut short, through a window, a later page. */
void fuzz_picture(const uint8_t *data, size_t size);

/* Writes a file into a folder of the process's own, made at the first call, removed when the
 * process ends. Gives its path, until the next call. */
const char *fuzz_write(const char *name, const void *data, size_t size);
const char *fuzz_folder(void);

/* Opens a model, asks it what can be asked, reads its weights, and runs it if it is small. Then the
 * text tower in the same files, if there is one. */
void fuzz_model(const char *path, const char *labels);

#endif
