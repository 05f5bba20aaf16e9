/*
 * report/report.h: the inside of a report.
 *
 * A report is what its file will hold, compressed, and the few facts that go into the manifest. The
 * parts: photo.c (JPEG, and the first map as a PNG), maps.c, answers.c, place.c (grid and crop),
 * code.c and pack.c (attention as bytes), record.c (how much of it), share.c (of how many bytes),
 * attention.c (what the caller has), run.c (one pass of the model), hashing.c (the digest of the
 * weights), manifest.c (the JSON), still.c (what can be read without a script), write.c (the file).
 */
#ifndef VX_REPORT_REPORT_H
#define VX_REPORT_REPORT_H

#include <vitx/report.h>

#include "explain/map.h"
#include "measure/stats.h"
#include "report/hashing.h"
#include "report/record.h"

#define VX_REPORT_BUDGET 16000000
#define VX_REPORT_MAX_BUDGET (INT64_C(1) << 40)
#define VX_REPORT_TOP 5

/* One plane of a map. */
typedef struct vx_report_map {
    struct vx_report_map *next;
    vitx_map_info info; /* method is static; model is NULL; texts are the next line's */
    char *settings, *label, *text, *versus;
    int height, width;
    bool on_input;    /* values on the input's pixels */
    float smooth;     /* what suits it, as in vitx_render_opts */
    bool colours;     /* three bytes per patch in place of a number */
    const char *code; /* "f32", "f16" or "u8rgb" */
    vx_packed block;
} vx_report_map;

typedef struct vx_report_absent {
    struct vx_report_absent *next;
    int target;
    char *label, *command;
} vx_report_absent;

/* Where the model's input lies in a picture. */
typedef struct vx_report_place {
    bool known;
    double seen[4];
    int grid_height, grid_width, input_height, input_width;
} vx_report_place;

typedef struct vx_report_picture {
    struct vx_report_picture *next;
    char *name;
    int width, height, shown_width, shown_height;
    vx_packed jpeg, first; /* the photo; the first map as a PNG */
    vx_report_place place;
    vitx_prediction *top; /* [predictions], labels are `labels`'s */
    char **labels;
    int predictions;
    double norm; /* of the embedding; below 0: none */
    vx_report_map *maps, *last_map;
    vx_buffer sentences; /* JSON: what vitx_report_add_words made, with commas between */
    vx_record record;
} vx_report_picture;

struct vitx_report {
    vitx_hooks hooks;
    vitx_model *model;
    vx_hashing hashing;
    char *title, *command, *lang;
    int64_t budget;
    int expected; /* pictures */
    vitx_report_level level;
    char *device, *precision;
    vx_report_picture *pictures, *last;
    int count;
    vx_report_absent *absent, *last_absent;
    vitx_context *context; /* of the runs */
    vitx_stats *stats;     /* of the runs */
    vx_buffer given_stats; /* JSON, if the caller gave statistics */
    int64_t written;
};

/* ------------------------------------------------------------------ report.c --------------- */

/* The picture that was added last; VITX_INVALID, naming `caller`, if there is none. */
int vx_report_last(vx_report_picture **out, vitx_report *report, const char *caller);
/* A copy of text, or NULL. */
int vx_report_copy(char **out, const vitx_report *report, const char *text);

/* ------------------------------------------------------------------ answers.c -------------- */

/* In place of the predictions that were there; labels are copied. */
int vx_report_predict(vitx_report *report, vx_report_picture *p, const vitx_prediction *top, int k);
void vx_report_drop_predictions(vx_report_picture *p, const vitx_hooks *hooks);
double vx_report_length(const float *values, int count);
/* Whether predictions have probabilities: those of a model without classes are of labels. */
bool vx_report_probable(const vitx_report *report);
void vx_report_free_absent(vx_report_absent *absent, const vitx_hooks *hooks);

/* ------------------------------------------------------------------ place.c ---------------- */

vx_report_place vx_report_place_of(const vx_placement *placement, const vx_arch *arch);
/* Whether a grid is that of the picture: the first one is. */
int vx_report_fit(vx_report_picture *p, const vx_report_place *place);
/* The model's own recipe, if nothing else was said about the picture. */
int vx_report_default_place(vitx_report *report, vx_report_picture *p);
/* As if the model saw all of the picture: for one that no recipe can take and nothing lies on. */
void vx_report_place_whole(const vitx_report *report, vx_report_picture *p);
int vx_report_tokens(const vitx_report *report, const vx_report_picture *p);
int vx_report_keep_device(vitx_report *report, const char *device, const char *precision);

/* ------------------------------------------------------------------ share.c ---------------- */

/* Bytes of the file for each of so many pictures, of what is left. */
size_t vx_report_share(const vitx_report *report, int pictures);

/* ------------------------------------------------------------------ attention.c ------------ */

/* The record of a picture begins, if it did not yet: it gets its share of what is left. */
int vx_report_start_record(vitx_report *report, vx_report_picture *p);

/* ------------------------------------------------------------------ photo.c ---------------- */

/* The picture, as a JPEG of at most `share` bytes of the file if that is possible. */
int vx_report_photo(vx_report_picture *p, const vitx_image *image, size_t share,
                    const vitx_hooks *hooks);
/* A plane of a map in its colours, one pixel a patch, as a PNG. */
int vx_report_first(vx_packed *png, const vitx_map *map, const float *values, int height, int width,
                    int grid_height, int grid_width, const vitx_hooks *hooks);

/* ------------------------------------------------------------------ maps.c ----------------- */

/* A list of them. */
void vx_report_maps_free(vx_report_map *maps, const vitx_hooks *hooks);

#endif
