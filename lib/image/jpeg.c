/*
 * image/jpeg.c: JPEG to RGB.
 *
 * Three steps: the markers are read and checked here; stb_image (image/stb.c) decodes the entropy
 * coded data into one plane of samples per component; planes become RGB here. The colour space is
 * found as libjpeg finds it (jdapimin.c, default_decompress_parms).
 *
 * Bounds on hostile files: a scan of n blocks must hold at least the bits that n blocks take, and
 * scans go over the picture only so many times, so that neither memory nor time grows far beyond
 * the file.
 */
#include "image/codec.h"
#include "image/jpeg_kernels.h"
#include "image/stb.h"

#include <string.h>

enum {
    MAX_SCANS = 100,       /* what libjpeg's cjpeg accepts in a script; encoders write about ten */
    MAX_MCU = 10,          /* blocks of an interleaved unit (ITU-T T.81, B.2.3) */
    MAX_PASSES = 12,       /* over the whole picture; libjpeg's own script makes six */
    FREE_BLOCKS = 1 << 20, /* scans of small pictures are not worth counting */
};

typedef enum colour { GREY, RGB, YCC, CMYK, YCCK } colour;

typedef struct component {
    int id, h, v; /* sampling factors */
} component;

typedef struct header {
    const vx_source *source;
    size_t at; /* byte that is read next */
    int width, height, count;
    bool progressive;
    component component[4];
    int h_max, v_max;
    bool jfif;
    int adobe;          /* colour transform of an Adobe marker, -1 without one */
    unsigned tables[2]; /* Huffman tables that the file defines, a bit each: DC, AC */
    int scans;
    bool short_of_data;   /* the file ended too early */
    size_t end;           /* then, bytes that can be decoded; 0: all of them */
    size_t blocks, coded; /* of the picture, of all scans so far */
} header;

/* A marker segment's contents, without the length. */
typedef struct segment {
    const uint8_t *data;
    size_t bytes;
} segment;

static int damaged(const header *h, const char *what)
{
    return vx_fail_in(VITX_FORMAT, h->source->name, "damaged JPEG: %s at byte %zu", what, h->at);
}

static int truncated(header *h)
{
    h->short_of_data = true;
    return vx_fail_truncated(h->source);
}

/* ------------------------------------------------------------------ markers -------------- */

/* The next marker; garbage before it is skipped where stb_image skips it, before the frame. */
static int read_marker(header *h, unsigned *marker)
{
    const uint8_t *d = h->source->data;
    const size_t n = h->source->bytes;
    while (h->at < n && d[h->at] != 0xff) {
        if (h->count > 0)
            return damaged(h, "no marker");
        h->at++;
    }
    while (h->at < n && d[h->at] == 0xff)
        h->at++;
    if (h->at >= n)
        return truncated(h);
    *marker = d[h->at++];
    return VITX_OK;
}

static int read_segment(header *h, segment *out)
{
    if (h->source->bytes - h->at < 2)
        return truncated(h);
    const size_t length = vx_be16(h->source->data + h->at);
    if (length < 2)
        return damaged(h, "a segment without a length");
    if (length > h->source->bytes - h->at)
        return truncated(h);
    *out = (segment){h->source->data + h->at + 2, length - 2};
    h->at += length;
    return VITX_OK;
}

/* Interleaved units of the picture. */
static size_t count_units(const header *h)
{
    const size_t across = (size_t)((h->width + 8 * h->h_max - 1) / (8 * h->h_max));
    const size_t down = (size_t)((h->height + 8 * h->v_max - 1) / (8 * h->v_max));
    return across * down;
}

static int read_frame(header *h, const segment *s, bool progressive)
{
    const uint8_t *d = s->data;
    if (h->count > 0)
        return damaged(h, "a second frame");
    if (s->bytes < 6 || s->bytes != 6 + 3 * (size_t)d[5])
        return damaged(h, "a frame header of the wrong length");
    if (d[0] != 8)
        return vx_fail_in(VITX_UNSUPPORTED, h->source->name,
                          "a JPEG of %d bits a sample, expected 8", d[0]);
    if (d[5] != 1 && d[5] != 3 && d[5] != 4)
        return vx_fail_in(VITX_UNSUPPORTED, h->source->name,
                          "a JPEG of %d components, expected 1, 3 or 4", d[5]);
    h->height = (int)vx_be16(d + 1);
    h->width = (int)vx_be16(d + 3);
    h->progressive = progressive;
    h->h_max = h->v_max = 1;
    for (int i = 0; i < d[5]; i++) {
        const uint8_t *p = d + 6 + 3 * i;
        component *c = &h->component[i];
        *c = (component){p[0], p[1] >> 4, p[1] & 15};
        if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4)
            return damaged(h, "a sampling factor out of 1..4");
        h->h_max = c->h > h->h_max ? c->h : h->h_max;
        h->v_max = c->v > h->v_max ? c->v : h->v_max;
    }
    h->count = d[5];
    for (int i = 0; i < h->count; i++)
        if (h->h_max % h->component[i].h != 0 || h->v_max % h->component[i].v != 0)
            return vx_fail_in(VITX_UNSUPPORTED, h->source->name,
                              "JPEG sampling factors %dx%d of %dx%d", h->component[i].h,
                              h->component[i].v, h->h_max, h->v_max);
    VX_TRY(vx_check_picture_size(h->source->name, h->width, h->height, h->source->max_pixels));
    for (int i = 0; i < h->count; i++)
        h->blocks += count_units(h) * (size_t)(h->component[i].h * h->component[i].v);
    return VITX_OK;
}

/* stb_image writes past its tables when a Huffman table has more than 256 codes. */
static int read_huffman_tables(header *h, const segment *s)
{
    size_t at = 0;
    while (at < s->bytes) {
        size_t codes = 0;
        if (s->bytes - at < 17)
            return damaged(h, "a short Huffman table");
        for (int i = 1; i <= 16; i++)
            codes += s->data[at + (size_t)i];
        if (codes > 256 || codes > s->bytes - at - 17)
            return damaged(h, "a Huffman table with too many codes");
        const unsigned kind = s->data[at] >> 4, number = s->data[at] & 15;
        if (kind > 1 || number > 3)
            return damaged(h, "a Huffman table of an unknown kind");
        h->tables[kind] |= 1u << number;
        at += 17 + codes;
    }
    return VITX_OK;
}

static void read_application(header *h, unsigned marker, const segment *s)
{
    if (marker == 0xe0 && s->bytes >= 14 && memcmp(s->data, "JFIF", 5) == 0)
        h->jfif = true;
    if (marker == 0xee && s->bytes >= 12 && memcmp(s->data, "Adobe", 5) == 0)
        h->adobe = s->data[11];
}

/* Moves over entropy-coded data to the next marker that is no restart; how many bytes it had. */
static size_t skip_entropy_coded(header *h)
{
    const uint8_t *d = h->source->data;
    const size_t n = h->source->bytes, start = h->at;
    for (;; h->at++) {
        const uint8_t *p = h->at < n ? memchr(d + h->at, 0xff, n - h->at) : NULL;
        if (!p || p + 1 >= d + n) {
            h->at = n;
            break;
        }
        h->at = (size_t)(p - d);
        const unsigned next = p[1];
        if (next != 0x00 && next != 0xff && (next < 0xd0 || next > 0xd7))
            break;
    }
    return h->at - start;
}

static const component *find_component(const header *h, int id)
{
    for (int i = 0; i < h->count; i++)
        if (h->component[i].id == id)
            return &h->component[i];
    return NULL;
}

/* How many blocks a scan codes; 0 where its header makes no sense. */
static size_t count_blocks(const header *h, const segment *s)
{
    const int n = s->data[0];
    int unit = 0;
    for (int i = 0; i < n; i++) {
        const component *c = find_component(h, s->data[1 + 2 * i]);
        if (!c)
            return 0;
        if (n == 1) {
            const int w = (h->width * c->h + h->h_max - 1) / h->h_max;
            const int height = (h->height * c->v + h->v_max - 1) / h->v_max;
            return (size_t)((w + 7) / 8) * (size_t)((height + 7) / 8);
        }
        unit += c->h * c->v;
    }
    return unit <= MAX_MCU ? count_units(h) * (size_t)unit : 0;
}

static int count_scan(header *h, size_t blocks)
{
    if (blocks == 0)
        return damaged(h, "a scan of unknown components or of too many blocks");
    h->scans++;
    h->coded += blocks;
    if (h->scans > MAX_SCANS || (h->coded > MAX_PASSES * h->blocks && h->coded > FREE_BLOCKS))
        return vx_fail_in(
            VITX_UNSUPPORTED, h->source->name,
            "a JPEG of too many scans: more than %d, or than %d over the whole picture", MAX_SCANS,
            MAX_PASSES);
    return VITX_OK;
}

/* stb_image takes a table that was never defined for one of no bits. A sequential file has the
 * standard's tables 0 and 1 in any case (image/stb.h). */
static int check_scan_tables(const header *h, const segment *s)
{
    const int n = s->data[0];
    const bool ac = s->data[1 + 2 * n] > 0, refines = s->data[3 + 2 * n] >> 4 > 0;
    for (int i = 0; i < n; i++)
        for (int kind = 0; kind < 2; kind++) {
            const unsigned number = kind == 0 ? s->data[2 + 2 * i] >> 4 : s->data[2 + 2 * i] & 15;
            const bool needed = !h->progressive || (kind == 1 ? ac : !ac && !refines);
            const unsigned known = h->tables[kind] | (h->progressive ? 0 : 3);
            if (needed && (number > 3 || !(known >> number & 1)))
                return vx_fail_in(VITX_FORMAT, h->source->name,
                                  "damaged JPEG: a scan needs the %s Huffman table %u, which the "
                                  "file does not define",
                                  kind == 0 ? "DC" : "AC", number);
        }
    return VITX_OK;
}

static int read_scan(header *h, const segment *s)
{
    if (h->count == 0)
        return damaged(h, "a scan before the frame");
    const int n = s->bytes > 0 ? s->data[0] : 0;
    if (n < 1 || n > h->count || s->bytes != 4 + 2 * (size_t)n)
        return damaged(h, "a scan header of the wrong length");
    /* A sequential block takes two codes. A progressive one takes a bit in the scans of the DC
     * values; runs of empty blocks make the others arbitrarily short. */
    const bool is_dc = s->data[1 + 2 * n] == 0;
    const size_t bits = !h->progressive ? 2 : is_dc ? 1 : 0;
    const size_t blocks = count_blocks(h, s), needed = blocks * bits / 8;
    VX_TRY(count_scan(h, blocks));
    VX_TRY(check_scan_tables(h, s));
    const size_t bytes = skip_entropy_coded(h);
    if (h->at >= h->source->bytes) {
        h->end = h->at;
        return truncated(h);
    }
    if (bytes < needed)
        return vx_fail_in(VITX_FORMAT, h->source->name,
                          "damaged JPEG: scan %d holds %zu bytes, at least %zu expected", h->scans,
                          bytes, needed);
    return VITX_OK;
}

static int read_marker_segment(header *h, unsigned marker)
{
    segment s = {0};
    if (marker == 0xd8 || marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7))
        return damaged(h, "a misplaced marker");
    VX_TRY(read_segment(h, &s));
    switch (marker) {
    case 0xc0:
    case 0xc1:
    case 0xc2:
        return read_frame(h, &s, marker == 0xc2);
    case 0xc4:
        return read_huffman_tables(h, &s);
    case 0xda:
        return read_scan(h, &s);
    case 0xdb: /* quantisers, restart interval, height, comment */
    case 0xdc:
    case 0xdd:
    case 0xfe:
        return VITX_OK;
    default:
        break;
    }
    if (marker >= 0xe0 && marker <= 0xef) {
        read_application(h, marker, &s);
        return VITX_OK;
    }
    if (marker >= 0xc3 && marker <= 0xcf)
        return vx_fail_in(VITX_UNSUPPORTED, h->source->name,
                          "a lossless, hierarchical or arithmetic-coded JPEG (marker %02x)",
                          marker);
    return damaged(h, "an unknown marker");
}

static int read_header(header *h, const vx_source *source)
{
    *h = (header){.source = source, .at = 2, .adobe = -1};
    for (;;) {
        unsigned marker = 0;
        const size_t before = h->at;
        int status = read_marker(h, &marker);
        if (status == VITX_OK && marker == 0xd9)
            break;
        if (status == VITX_OK)
            status = read_marker_segment(h, marker);
        if (status == VITX_OK)
            continue;
        if (!h->short_of_data || !source->allow_truncated || h->scans == 0)
            return status;
        h->end = h->end ? h->end : before;
        break;
    }
    return h->scans > 0 ? VITX_OK : damaged(h, "no picture before the end");
}

/* ------------------------------------------------------------------ planes to RGB -------- */

static colour find_colour(const header *h)
{
    const component *c = h->component;
    if (h->count == 1)
        return GREY;
    if (h->count == 4)
        return h->adobe == -1 || h->adobe == 0 ? CMYK : YCCK;
    if (h->jfif)
        return YCC;
    if (h->adobe != -1)
        return h->adobe == 0 ? RGB : YCC;
    return c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B' ? RGB : YCC;
}

/* a * b / 255, rounded; Pillow's MULDIV255. */
static inline uint8_t scale_by(unsigned a, unsigned b)
{
    const unsigned t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

/*
 * Pillow takes every four-component JPEG as Adobe writes it, inverted: what is stored is 255 - C,
 * 255 - M, 255 - Y and 255 - K. Then R = (255 - K) - C (255 - K)/255 (Convert.c, cmyk2rgb).
 */
static void invert_cmyk(uint8_t *out, const uint8_t *const in[4], int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            *out++ = (uint8_t)(in[3][i] - scale_by(255u - in[k][i], in[3][i]));
}

/* YCCK: the first three are Y, Cb, Cr of 255 - C, 255 - M, 255 - Y before the inversion. */
static void invert_ycck(uint8_t *out, const uint8_t *const in[4], int n)
{
    vx_jpeg_ycc_to_rgb(out, in[0], in[1], in[2], n);
    for (int i = 0; i < n; i++, out += 3)
        for (int k = 0; k < 3; k++)
            out[k] = (uint8_t)(in[3][i] - scale_by(out[k], in[3][i]));
}

static void convert_row(uint8_t *out, const uint8_t *const in[4], int n, colour space)
{
    switch (space) {
    case GREY:
        for (int i = 0; i < n; i++, out += 3)
            out[0] = out[1] = out[2] = in[0][i];
        break;
    case RGB:
        for (int i = 0; i < n; i++)
            for (int k = 0; k < 3; k++)
                *out++ = in[k][i];
        break;
    case YCC:
        vx_jpeg_ycc_to_rgb(out, in[0], in[1], in[2], n);
        break;
    case CMYK:
        invert_cmyk(out, in, n);
        break;
    case YCCK:
        invert_ycck(out, in, n);
        break;
    }
}

/* Row y of the picture from one component: in the plane itself, or upsampled into `line`. */
static const uint8_t *component_row(uint8_t *line, const vx_jpeg_plane *p, int y)
{
    const int row = y / p->down, last = p->height - 1;
    const uint8_t *near = p->data + (size_t)row * (size_t)p->stride;
    if (p->across == 1 && p->down == 1)
        return near;
    /* With two rows per sample, the upper one leans on the sample above. */
    const int beyond = y % p->down == 0 ? (row > 0 ? row - 1 : 0) : (row < last ? row + 1 : last);
    vx_jpeg_upsample(line, near, p->data + (size_t)beyond * (size_t)p->stride, p->width, p->across,
                     p->down);
    return line;
}

static void planes_to_rgb(uint8_t *out, const header *h, const vx_jpeg_planes *planes,
                          uint8_t *lines)
{
    const colour space = find_colour(h);
    const size_t line = (size_t)h->width + 4; /* upsampling ends up to 3 samples past the row */
    for (int y = 0; y < h->height; y++) {
        const uint8_t *in[4] = {lines, lines, lines, lines};
        for (int k = 0; k < planes->count; k++)
            in[k] = component_row(lines + line * (size_t)k, &planes->plane[k], y);
        convert_row(out + (size_t)y * (size_t)h->width * 3, in, h->width, space);
    }
}

/* A file that is cut short, up to where it can be decoded, with the end that it lacks. */
static int complete(vx_source *out, uint8_t **owned, const header *h)
{
    static const uint8_t end[2] = {0xff, 0xd9};
    VX_TRY(vx_new(owned, h->source->hooks, h->end + sizeof end, 1, "a JPEG that is cut short"));
    memcpy(*owned, h->source->data, h->end);
    memcpy(*owned + h->end, end, sizeof end);
    *out = *h->source;
    out->data = *owned;
    out->bytes = h->end + sizeof end;
    vx_warn_truncated(h->source);
    return VITX_OK;
}

/* The planes, from the file or, if that ends too early, from what there is of it. */
static int decode_planes(vx_jpeg_planes *out, const header *h)
{
    vx_source completed;
    uint8_t *owned = NULL;
    if (!h->short_of_data)
        return vx_stb_jpeg_planes(out, h->source, h->progressive, vx_jpeg_idct);
    VX_TRY(complete(&completed, &owned, h));
    const int status = vx_stb_jpeg_planes(out, &completed, h->progressive, vx_jpeg_idct);
    vx_release(h->source->hooks, owned);
    return status;
}

int vx_decode_jpeg(vx_picture *out, const vx_source *source)
{
    header h;
    VX_TRY(read_header(&h, source));
    vx_jpeg_planes planes = {0};
    uint8_t *lines = NULL;
    int status = decode_planes(&planes, &h);
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new(&lines, source->hooks, 4, (size_t)h.width + 4, "decoded rows");
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new_picture(out, source, h.width, h.height);
    if (status != VITX_OK)
        goto cleanup;
    planes_to_rgb(out->pixels, &h, &planes, lines);
cleanup:
    vx_release(source->hooks, lines);
    vx_jpeg_planes_dispose(&planes, source->hooks);
    return status;
}
