/*
 * serve/multipart.h: the parts of a multipart/form-data body (RFC 7578), read in place.
 *
 * Stricter than browsers and curl need: nothing stands before the first part or behind the last,
 * lines end in CR LF, and no part is encoded once more.
 */
#ifndef CLI_SERVE_MULTIPART_H
#define CLI_SERVE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

enum { BOUNDARY_MOST = 70, PART_HEAD_MOST = 4096 };

struct part {
    char name[65]; /* of the field */
    bool file;     /* a file name came with it */
    const unsigned char *data;
    size_t bytes;
};

struct multipart {
    const unsigned char *at, *end;
    char line[BOUNDARY_MOST + 5]; /* "--" and the boundary */
    size_t length;
    bool begun, over;
};

/* content_type: the header, with its boundary. false: it has none that may be one. */
bool multipart_begin(struct multipart *reader, const char *content_type, const void *body,
                     size_t bytes);
/* 1: a part, whose data lies in the body; 0: that was the last one; -1: malformed. */
int multipart_next(struct multipart *reader, struct part *part);

#endif
