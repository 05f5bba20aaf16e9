/*
 * cli/batch/gallery_sheet.h: the gallery over a whole run, as texts.
 *
 * The page index.html is the same for a plan whatever has been done of it. Beside it each shard has
 * two scripts, which hold data alone: NNNNN.list.js, a line for each picture, which the page reads
 * at once, and NNNNN.js, the thumbnails, which it reads when they come into sight. A page that is
 * opened from a disk may read scripts and nothing else. A shard that is not done lacks its scripts,
 * and the page says so; so nobody has to put anything together when a run ends.
 *
 * A picture is one row, made on any thread; rows are then joined in the order of the pictures.
 */
#ifndef CLI_BATCH_GALLERY_SHEET_H
#define CLI_BATCH_GALLERY_SHEET_H

#include "tools/cli/text.h"

#include <vitx/render.h>

/* What is known of a text and a picture, whichever method the map is of. */
struct gallery_text {
    bool known;
    double cosine, empty, probability; /* as vitx_map_info has them */
};

/* What the page says of a picture. */
struct gallery_picture {
    const char *key;         /* its name in the run */
    const char *error;       /* why it failed; NULL: it did not */
    const vitx_image *image; /* NULL: it could not be read */
    const vitx_prediction *top;
    int top_count;
    vitx_map *const *maps; /* [map_count], in the order of gallery_run.maps; NULL: there is none */
    const char *const *labels; /* [map_count]: names of the maps' classes, or their texts, NULL:
                                * none; may be NULL as a whole */
    int map_count;
    const struct gallery_text *texts; /* [text_count], in the order of gallery_run.texts */
    int text_count;
    const vitx_render_opts *opts; /* [map_count]: how the maps are drawn */
    const char *report; /* the address of its page, from the gallery's folder; NULL: it has none */
};

/* A picture's part of the two scripts of its shard. Zero before the first use. */
struct gallery_row {
    struct text list, sheet;
};

/* false: there is no memory. */
bool gallery_row_make(struct gallery_row *row, const struct gallery_picture *picture);
void gallery_row_free(struct gallery_row *row);

/* The scripts of a shard: begin, put a row for each of its pictures, end. Text that cannot grow
 * says so by itself (text.h). Zero before the first use. */
struct gallery_sheet {
    struct text list, sheet;
    int rows;
};

void gallery_sheet_begin(struct gallery_sheet *sheet, int shard);
void gallery_sheet_put(struct gallery_sheet *sheet, const struct gallery_row *row);
void gallery_sheet_end(struct gallery_sheet *sheet);
void gallery_sheet_free(struct gallery_sheet *sheet);

/* What the page says of the run. */
struct gallery_run {
    const char *title;       /* NULL: the page has one */
    const char *model;       /* its name; NULL: unknown */
    int shards;              /* -1: not known: as many as have scripts, from 0 on */
    const char *const *maps; /* [map_count]: names of the maps of a picture */
    int map_count;
    const char *const *texts; /* [text_count]: that maps explain */
    int text_count;
    const int *text_of; /* [map_count]: the text that a map is of; -1: it is of none */
    bool probable;      /* the predictions have probabilities, else numbers */
};

/* The page. */
void gallery_page(struct text *out, const struct gallery_run *run);

#endif
