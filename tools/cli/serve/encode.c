/* serve/encode.c: an outcome as JSON, PNG, npy or the report page; see outcome.h. */
#include "outcome.h"

#include "formats.h"
#include "tools/cli/given.h"
#include "tools/cli/numbers.h"
#include "tools/cli/reason.h"

enum { MOST_BYTES = 256 << 20 }; /* of an answer */

static bool no_memory(struct problem *why)
{
    return refuse(why, 503, "no_memory", NULL, "no memory");
}

/* A writer into a text that may not grow for ever. */
static int write_some(const void *data, size_t bytes, void *payload)
{
    const struct text *text = payload;
    return text->length + bytes > MOST_BYTES || text_write(data, bytes, payload);
}

/* ------------------------------------------------------------------ JSON ------------------- */

/* What a map is drawn with, or written as. */
static vitx_render_opts render_opts(const struct ask *ask, const vitx_map *map, const char *format)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    const bool known = vitx_map_get_info(&info, map) == VITX_OK;
    vitx_render_opts opts =
        known ? explain_map_opts(&ask->plan, &info, "picture") : explain_render_opts(&ask->plan);
    opts.format = format;
    return opts;
}

/* The map, or the mask that was asked for in its place, which is *mask then: to be freed. */
static const vitx_map *shown_map(vitx_map **mask, const struct ask *ask, const vitx_map *map)
{
    const struct explain_settings *o = ask->explain;
    *mask = NULL;
    if (o->mask <= 0)
        return map;
    return vitx_map_mask(mask, map, o->mask / 100) == VITX_OK ? *mask : NULL;
}

static bool write_map(struct text *out, const struct ask *ask, const vitx_map *map,
                      const vitx_image *image, const char *format, struct problem *why)
{
    vitx_map *mask;
    const vitx_map *shown = shown_map(&mask, ask, map);
    const vitx_render_opts opts = render_opts(ask, map, format);
    const int code = shown ? vitx_render_write(shown, image, write_some, out, &opts) : VITX_INVALID;
    vitx_map_free(mask);
    if (code == VITX_OK)
        return true;
    if (out->failed || code == VITX_NOMEM)
        return no_memory(why);
    if (code == VITX_IO)
        return refuse(why, 422, "too_large", "ask for fewer maps, or for a smaller picture",
                      "the answer has more than %d bytes", MOST_BYTES);
    return refuse(why, 422, "failed", NULL, "%s", reason());
}

/* Each map is the object that explain --json prints. */
static bool put_maps(struct text *out, const struct ask *ask, const struct outcome *o,
                     struct problem *why)
{
    text_put(out, "\"explanations\":[");
    for (int i = 0; i < o->map_count; i++) {
        text_put(out, i ? "," : "");
        if (!write_map(out, ask, o->maps[i], NULL, "json", why))
            return false;
        while (!out->failed && out->length > 0 && out->data[out->length - 1] == '\n')
            out->data[--out->length] = '\0';
    }
    text_put(out, "]");
    return true;
}

/* [{"text":..,"embedding":[..]},..] */
static void put_texts(struct text *out, const struct outcome *o, const struct ask *ask)
{
    const int units = ask->model->session.info.classes;
    text_put(out, "\"texts\":[");
    for (int i = 0; i < ask->texts.count; i++) {
        text_put(out, i ? ",{\"text\":" : "{\"text\":");
        text_json(out, ask->texts.items[i]);
        text_put(out, ",");
        put_embedding(out, o->embedding + (size_t)i * (size_t)units, units);
        text_put(out, "}");
    }
    text_put(out, "]");
}

/* Labels always are. */
static bool are_probable(const struct ask *ask)
{
    const struct session *s = &ask->model->session;
    return s->info.units || s->info.outputs != VITX_OUTPUTS_NONE;
}

static bool write_json(struct text *out, const struct outcome *o, const struct ask *ask,
                       const vitx_image *image, struct problem *why)
{
    text_put(out, "{\"model\":{\"name\":");
    text_json(out, ask->model->name);
    text_put(out, ",\"digest\":");
    text_json(out, ask->model->digest);
    text_put(out, "},");
    if (image)
        text_format(out, "\"image\":{\"width\":%d,\"height\":%d},", vitx_image_width(image),
                    vitx_image_height(image));
    if (!image)
        put_texts(out, o, ask);
    else if (ask->verb == VERB_EMBED)
        put_embedding(out, o->embedding, ask->model->session.info.classes);
    else
        put_predictions(out, o->top, o->top_count, are_probable(ask));
    if (ask->verb == VERB_EXPLAIN) {
        text_put(out, ",");
        if (!put_maps(out, ask, o, why))
            return false;
    }
    text_put(out, "}\n");
    return true;
}

/* ------------------------------------------------------------------ other forms ------------ */

static bool write_npy(struct text *out, const struct outcome *o, const struct ask *ask,
                      struct problem *why)
{
    if (ask->verb == VERB_EXPLAIN)
        return write_map(out, ask, o->maps[0], NULL, "npy", why);
    return vitx_vectors_write(o->embedding, ask->texts.count ? ask->texts.count : 1,
                              ask->model->session.info.classes, write_some, out) == VITX_OK ||
           no_memory(why);
}

bool outcome_write(struct text *out, const char **type, const struct outcome *o,
                   const struct ask *ask, const vitx_image *image, struct problem *why)
{
    bool written = true;
    *type = formats[ask->form].type;
    if (ask->form != FORM_JSON && ask->verb == VERB_EXPLAIN && o->map_count == 0)
        return refuse(why, 422, "no_map", NULL, "there is no map");
    if (ask->form == FORM_JSON)
        written = write_json(out, o, ask, image, why);
    else if (ask->form == FORM_PNG)
        written = write_map(out, ask, o->maps[0], image, "png", why);
    else if (ask->form == FORM_NPY)
        written = write_npy(out, o, ask, why);
    else
        text_add(out, o->page.data, o->page.length);
    return written && (!out->failed || no_memory(why));
}
