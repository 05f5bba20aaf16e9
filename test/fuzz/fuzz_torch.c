/*
 * A file of torch.save. What begins as one ("PK", or a pickle's 0x80) is the file. Else a file is
 * put together, with matching sizes and checksums, so that what lies behind them is reached:
 *
 *      u8 flags, u16 n, the pickle's bytes
 *
 * Storages "0" and "1" have 16 n bytes each. Flags: 1 zip64, 2 deflated pickle, 4 no checksums, 8
 * the form before PyTorch 1.6.
 */
#include <stdlib.h>
#include <string.h>

#include "../archive.h"
#include "fuzz.h"

static archive_member member(const char *name, const void *data, size_t size, int deflated)
{
    return (archive_member){name, (void *)(uintptr_t)data, size, deflated != 0};
}

static archive zipped(const uint8_t *pickle, size_t size, const uint8_t *storage, size_t bytes,
                      int flags)
{
    const archive_member members[] = {
        member("a/data.pkl", pickle, size, flags & 2), member("a/data/0", storage, bytes, 0),
        member("a/data/1", storage, bytes, 0), member("a/version", "3\n", 2, 0)};
    archive a = archive_build(members, 4, flags & 1);
    if (flags & 4) {
        memset(a.data + a.local[0] + 14, 0, 4);
        memset(a.data + a.entry[0] + 16, 0, 4);
    }
    return a;
}

/* Magic number, version, facts of the system; then the pickle, the keys, the storages. */
static archive old_form(const uint8_t *pickle, size_t size, const uint8_t *storage, size_t bytes)
{
    static const char begin[] = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                                "\x80\2M\xe9\3."
                                "\x80\2}q\0X\15\0\0\0little_endianq\1\x88s.";
    static const char keys[] = "\x80\2]q\0(X\1\0\0\0"
                               "0q\1X\1\0\0\0"
                               "1q\2e.";
    const uint64_t elements = bytes / 4;
    archive a = {0};
    archive_put(&a, begin, sizeof begin - 1);
    archive_put(&a, pickle, size);
    archive_put(&a, keys, sizeof keys - 1);
    for (int i = 0; i < 2; i++) {
        archive_put(&a, &elements, 8);
        archive_put(&a, storage, bytes);
    }
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char config[] = "{\"model_args\": {\"num_heads\": 1}}"; /* no tensor says it */
    if (size < 3)
        return 0;
    fuzz_write("config.json", config, sizeof config - 1);
    if (data[0] == 'P' || data[0] == 0x80) {
        fuzz_write("weights.pth", data, size);
    } else {
        const size_t bytes = 16 * ((size_t)data[1] | (size_t)data[2] << 8);
        uint8_t *storage = malloc(bytes + 1);
        memset(storage, 0x3c, bytes + 1); /* a small number in every type */
        const archive a = data[0] & 8 ? old_form(data + 3, size - 3, storage, bytes)
                                      : zipped(data + 3, size - 3, storage, bytes, data[0]);
        fuzz_write("weights.pth", a.data, a.size);
        free(a.data);
        free(storage);
    }
    fuzz_model(fuzz_folder(), NULL);
    return 0;
}
