/*
 * model/zip.h: reading a zip archive in which nothing is left to interpretation.
 *
 * What a reader of zip files may take from one of two places (sizes, names, offsets stand in the
 * central directory and before each member) must be the same in both; members must not share
 * bytes. Stored and deflated members, zip64; no encryption, no archive in several parts.
 */
#ifndef VX_MODEL_ZIP_H
#define VX_MODEL_ZIP_H

#include "base/file.h"

typedef struct vx_zip_member {
    const char *name; /* UTF-8 */
    uint64_t header;  /* where its own header begins */
    uint64_t offset;  /* where its data begin        */
    uint64_t packed;  /* bytes in the file           */
    uint64_t size;    /* bytes of its contents: at most 1032 times as many, as deflate can */
    uint32_t crc;
    uint16_t flags, method; /* method: 0 stored, 8 deflated */
} vx_zip_member;

typedef struct vx_zip {
    const vitx_hooks *hooks;
    const vx_file *file;
    vx_zip_member *members; /* [count], in the order of the directory */
    int count;
    char *names;
} vx_zip;

/* Reads and checks the directory and the headers, not the members' contents. VITX_FORMAT or
 * VITX_UNSUPPORTED names the member. hooks and file stay the caller's; dispose also after a
 * failure. */
int vx_zip_open(vx_zip *out, const vx_file *file, const vitx_hooks *hooks);
void vx_zip_dispose(vx_zip *zip);

/* A member's contents from their beginning to their end. With the last byte the checksum is
 * compared, and that the packed data end there, too. */
typedef struct vx_zip_stream vx_zip_stream;
int vx_zip_start(vx_zip_stream **out, const vx_zip *zip, int member);
/* The next `bytes` bytes; dst NULL: they are passed over. VITX_FORMAT where there are fewer. */
int vx_zip_read(vx_zip_stream *stream, void *dst, uint64_t bytes);
uint64_t vx_zip_at(const vx_zip_stream *stream); /* bytes read so far */
void vx_zip_stop(vx_zip_stream *stream);         /* accepts NULL */

#endif
