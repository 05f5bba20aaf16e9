/*
 * report/page.h: the constant parts of the page.
 *
 * lib/report/page/ has them as files that a browser reads: page.html, style sheets and scripts. The
 * build puts them into C (tools/embed), compressed, with the policy that allows just these bytes to
 * run.
 */
#ifndef VX_REPORT_PAGE_H
#define VX_REPORT_PAGE_H

#include "report/pack.h"

/* Made by tools/embed. */
typedef struct vx_page_data {
    const unsigned char *packed; /* a zlib stream of the four, one behind the other */
    size_t packed_bytes;
    size_t top, css, bottom, script; /* bytes of each */
    const char *policy;              /* Content-Security-Policy */
} vx_page_data;
extern const vx_page_data vx_page_embedded;

typedef struct vx_page {
    uint8_t *memory;
    const uint8_t *top, *css, *bottom, *script; /* vx_page_data has their sizes */
} vx_page;

int vx_page_open(vx_page *page, const vitx_hooks *hooks);
void vx_page_close(vx_page *page, const vitx_hooks *hooks);
size_t vx_page_bytes(void);

#endif
