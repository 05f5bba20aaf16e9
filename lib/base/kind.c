/*
 * base/kind.c: files by their first bytes. A download that went wrong is a page, a pointer, or
 * packed.
 */
#include "base/kind.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

typedef struct kind {
    size_t offset, length; /* of the bytes that tell it */
    const char *magic;
    const char *name;
} kind;

static const kind kinds[] = {
    {0, 8, "version ", "a pointer of Git LFS, which stands for a file that git lfs pull gets"},
    {0, 4, "GGUF", "GGUF weights (llama.cpp's)"},
    {0, 2, "\x1f\x8b", "packed by gzip"},
    {0, 3, "BZh", "packed by bzip2"},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "packed by xz"},
    {0, 4, "\x28\xb5\x2f\xfd", "packed by zstd"},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive"},
    {0, 6, "Rar!\x1a\7", "a RAR archive"},
    {257, 5, "ustar", "a tar archive"},
    {0, 4, "PK\3\4", "a zip archive"},
    {0, 4, "PK\5\6", "an empty zip archive"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras's weights)"},
    {4, 4, "TFL3", "a model of TensorFlow Lite"},
    {0, 6, "\x93NUMPY", "a NumPy array"},
    {8, 2, "{\"", "safetensors weights"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG picture"},
    {0, 3, "\xff\xd8\xff", "a JPEG picture"},
    {0, 4, "GIF8", "a GIF picture"},
    {8, 4, "WEBP", "a WebP picture"},
    {8, 4, "WAVE", "a WAV sound"},
    {4, 4, "ftyp", "a film or picture in an MP4 container"},
    {0, 4, "\x1a\x45\xdf\xa3", "a Matroska or WebM film"},
    {0, 4, "%PDF", "a PDF document"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program"},
};

static bool begins(const char *text, size_t bytes, const char *word)
{
    const size_t n = strlen(word);
    if (bytes < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (tolower((unsigned char)text[i]) != word[i])
            return false;
    return true;
}

/* What is told by a word, which may stand behind a byte order mark and blanks. */
static const char *kind_of_text(const char *text, size_t bytes)
{
    size_t at = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < bytes && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    text += at;
    bytes -= at;
    if (begins(text, bytes, "<!doctype html") || begins(text, bytes, "<html") ||
        begins(text, bytes, "<head"))
        return "an HTML page, as servers send one in place of a file";
    if (begins(text, bytes, "<svg"))
        return "an SVG drawing";
    if (begins(text, bytes, "<?xml"))
        return "an XML document";
    if (begins(text, bytes, "{\"") || begins(text, bytes, "{\n") || begins(text, bytes, "{\r\n") ||
        begins(text, bytes, "[{") || begins(text, bytes, "{ "))
        return "JSON";
    return NULL;
}

/* Python's pickles of version 2 to 5 begin with its number, which no other kind does. */
static bool is_pickle(const unsigned char *p, size_t bytes)
{
    return bytes >= 2 && p[0] == 0x80 && p[1] >= 2 && p[1] <= 5;
}

/* Formats that begin with no word, but with fields of few possible values. */
static const char *kind_of_fields(const unsigned char *p, size_t bytes)
{
    if (bytes < 4)
        return NULL;
    if (p[0] == 8 && p[1] >= 3 && p[1] < 20 && strchr("\x12\x1a\x3a\x42", p[2]) && p[2])
        return "an ONNX model";
    if (p[0] == 8 && p[1] == 1 && p[2] == 0x12)
        return "a model of TensorFlow";
    const unsigned char *text = p[0] == 0xde ? p + 3 : p + 1; /* a map: of 16 bits, or of 4 */
    if ((p[0] == 0xde || (p[0] > 0x80 && p[0] < 0x90)) && text[0] > 0xa0 && text[0] < 0xc0)
        return "MessagePack (Flax's weights)";
    return NULL;
}

const char *vx_kind_of(const void *data, size_t bytes)
{
    const char *text = data;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const kind *k = &kinds[i];
        if (bytes >= k->offset + k->length && memcmp(text + k->offset, k->magic, k->length) == 0)
            return k->name;
    }
    const char *fields = kind_of_fields(data, bytes);
    return is_pickle(data, bytes) ? "a Python pickle" : fields ? fields : kind_of_text(text, bytes);
}
