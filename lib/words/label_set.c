/*
 * words/label_set.c: classes that are texts.
 *
 * The vector of a label is normalise(mean over templates of normalise(tower(template(label)))):
 * Radford et al. 2021, section 3.1.4; openai/CLIP @ d05afc4, notebooks/Prompt_Engineering. Without
 * templates it is normalise(tower(label)).
 */
#include <string.h>

#include "base/structs.h"
#include "engine/run.h"
#include "words/label_cache.h"
#include "words/segments.h"

#define MAX_LABELS 1000000
#define MAX_TEMPLATES 10000
#define MAX_BYTES ((size_t)1 << 31)
/* Prompts that are made together. */
#define TOGETHER 4096

void vitx_label_set_opts_init(vitx_label_set_opts *out, size_t struct_size)
{
    const vitx_label_set_opts full = VITX_LABEL_SET_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_label_set_info_init(vitx_label_set_info *out, size_t struct_size)
{
    const vitx_label_set_info full = VITX_LABEL_SET_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* -------------------------------------------------------------------------- checks -------- */

static int check_labels(size_t *bytes, const char *const *labels, int n)
{
    *bytes = 0;
    for (int i = 0; i < n; i++) {
        if (!labels[i] || vx_blank(labels[i]))
            return vx_fail(VITX_INVALID, "label %d is empty", i);
        if (!vx_add_size(bytes, *bytes, strlen(labels[i]) + 1))
            return vx_fail(VITX_INVALID, "the labels are too long");
    }
    return VITX_OK;
}

/* Where the label goes: "{}". */
static const char *place_of(const char *template)
{
    return strstr(template, "{}");
}

static int check_templates(size_t *bytes, const vitx_label_set_opts *o)
{
    *bytes = 0;
    if (o->template_count < 0 || o->template_count > MAX_TEMPLATES ||
        (o->template_count > 0) != (o->templates != NULL))
        return vx_fail(VITX_INVALID, "template_count = %d does not fit templates; 1 to %d of them",
                       o->template_count, MAX_TEMPLATES);
    for (int i = 0; i < o->template_count; i++) {
        if (!o->templates[i] || !place_of(o->templates[i]))
            return vx_fail(VITX_INVALID, "template %d, \"%.60s\", has no {} for the label", i,
                           o->templates[i] ? o->templates[i] : "");
        *bytes += strlen(o->templates[i]);
    }
    return VITX_OK;
}

static int check(const vitx_label_set_opts *o, const char *const *labels, int n)
{
    size_t of_labels, of_templates, per_template, per_label;
    if (n < 1 || n > MAX_LABELS)
        return vx_fail(VITX_INVALID, "%d labels: 1 to %d are accepted", n, MAX_LABELS);
    VX_TRY(check_labels(&of_labels, labels, n));
    VX_TRY(check_templates(&of_templates, o));
    const size_t templates = o->template_count > 0 ? (size_t)o->template_count : 1;
    if (!vx_mul_size(&per_template, of_labels, templates) ||
        !vx_mul_size(&per_label, of_templates, (size_t)n) || per_template > MAX_BYTES ||
        per_label > MAX_BYTES - per_template)
        return vx_fail(VITX_INVALID, "labels and templates are more than %zu bytes of texts",
                       MAX_BYTES);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- prompts ------- */

static size_t prompt_bytes(const char *template, const char *label)
{
    return template ? strlen(template) - 2 + strlen(label) + 1 : strlen(label) + 1;
}

/* Writes a prompt; returns what lies behind it. */
static char *write_prompt(char *to, const char *template, const char *label)
{
    const char *place = template ? place_of(template) : NULL;
    const size_t before = place ? (size_t)(place - template) : 0, length = strlen(label);
    if (place)
        memcpy(to, template, before);
    memcpy(to + before, label, length + 1);
    if (place)
        memcpy(to + before + length, place + 2, strlen(place + 2) + 1);
    return to + strlen(to) + 1;
}

/* The prompts of some labels: label after label, each in all templates. */
typedef struct prompts {
    char *text;
    const char **list; /* [count] */
    float *vectors;    /* [count,K] */
    int count;
} prompts;

static int make_prompts(prompts *p, const vitx_label_set *set, const vitx_label_set_opts *o,
                        int first, int n)
{
    const int templates = o->template_count > 0 ? o->template_count : 1;
    size_t bytes = 0;
    p->count = n * templates;
    for (int i = 0; i < p->count; i++)
        bytes += prompt_bytes(o->templates ? o->templates[i % templates] : NULL,
                              set->labels[first + i / templates]);
    VX_TRY(vx_new(&p->text, &set->hooks, bytes, 1, "prompts"));
    VX_TRY(vx_new(&p->list, &set->hooks, (size_t)p->count, sizeof *p->list, "prompts"));
    VX_TRY(vx_new(&p->vectors, &set->hooks, (size_t)p->count * (size_t)set->info.units,
                  sizeof *p->vectors, "vectors of prompts"));
    char *at = p->text;
    for (int i = 0; i < p->count; i++) {
        p->list[i] = at;
        at = write_prompt(at, o->templates ? o->templates[i % templates] : NULL,
                          set->labels[first + i / templates]);
    }
    return VITX_OK;
}

/* The mean direction of a label's prompts, in `mean`; false: there is none. */
static bool average(float *mean, float *vectors, int n, int units)
{
    for (int i = 0; i < n; i++) {
        float *vector = vectors + (size_t)i * (size_t)units;
        if (!vx_make_unit(vector, units))
            return false;
        for (int k = 0; k < units; k++)
            mean[k] += vector[k];
    }
    return vx_make_unit(mean, units);
}

static int embed_some(vitx_label_set *set, vx_words_course *course, vitx_texts *t,
                      const vitx_label_set_opts *o, int first, int n)
{
    const int templates = o->template_count > 0 ? o->template_count : 1;
    const size_t units = (size_t)set->info.units;
    prompts p = {0};
    int status = make_prompts(&p, set, o, first, n);
    if (status == VITX_OK)
        status = vx_words_run(p.vectors, course, t, p.list, p.count);
    for (int i = 0; i < n && status == VITX_OK; i++)
        if (!average(set->vectors + (size_t)(first + i) * units,
                     p.vectors + (size_t)i * (size_t)templates * units, templates, (int)units))
            status = vx_fail_in(VITX_FORMAT, t->model->path, "the vector of label \"%.60s\" is 0",
                                set->labels[first + i]);
    vx_release(&set->hooks, p.text);
    vx_release(&set->hooks, (void *)p.list);
    vx_release(&set->hooks, p.vectors);
    return status;
}

static int embed_all(vitx_label_set *set, vitx_texts *t, const vitx_label_set_opts *o)
{
    const int templates = o->template_count > 0 ? o->template_count : 1;
    const int together = templates < TOGETHER ? TOGETHER / templates : 1;
    vx_words_course course = {.all = (int64_t)set->info.count * templates};
    int status = VITX_OK;
    for (int at = 0, n; at < set->info.count && status == VITX_OK; at += n) {
        n = set->info.count - at < together ? set->info.count - at : together;
        status = embed_some(set, &course, t, o, at, n);
    }
    set->info.cut = course.cut;
    return status;
}

/* -------------------------------------------------------------------------- a set --------- */

static int copy_labels(vitx_label_set *set, const char *const *labels)
{
    const size_t n = (size_t)set->info.count;
    size_t bytes = n * sizeof *set->labels;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(labels[i]) + 1;
    VX_TRY(vx_new(&set->labels, &set->hooks, bytes, 1, "labels"));
    char *at = (char *)(set->labels + n);
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(labels[i]) + 1;
        set->labels[i] = memcpy(at, labels[i], length);
        at += length;
    }
    return vx_new(&set->vectors, &set->hooks, n * (size_t)set->info.units, sizeof *set->vectors,
                  "vectors of labels");
}

static int fill(vitx_label_set *set, vitx_texts *t, const vitx_label_set_opts *o)
{
    vx_label_key key;
    bool usable = o->cache != NULL;
    if (o->cache)
        VX_TRY(vx_label_cache_check(&usable, set, o->cache));
    if (!usable)
        return embed_all(set, t, o);
    VX_TRY(vx_label_key_make(&key, set, t, o));
    if (vx_label_cache_read(set, o->cache, &key)) {
        set->info.cached = 1;
        return VITX_OK;
    }
    VX_TRY(embed_all(set, t, o));
    vx_label_cache_write(set, o->cache, &key);
    return VITX_OK;
}

int vitx_label_set_create(vitx_label_set **out, vitx_texts *texts, const char *const *labels, int n,
                          const vitx_label_set_opts *opts)
{
    vitx_label_set_opts o = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set *set;
    if (out)
        *out = NULL;
    if (!out || !texts || !labels)
        return vx_fail(VITX_INVALID, "vitx_label_set_create: an argument is NULL");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_label_set_opts, cache));
    VX_TRY(check(&o, labels, n));
    VX_TRY(vx_new(&set, &texts->hooks, 1, sizeof *set, "a set of labels"));
    const vx_text_rules *rules = &texts->model->text;
    set->hooks = texts->hooks;
    set->info = (vitx_label_set_info){
        .struct_size = sizeof set->info,
        .count = n,
        .units = vx_words_units(texts),
        .templates = o.template_count,
        .scale = rules->scale,
        .bias = rules->bias,
        .outputs = vx_words_outputs(texts),
    };
    int status = copy_labels(set, labels);
    if (status == VITX_OK)
        status = fill(set, texts, &o);
    if (status != VITX_OK) {
        vitx_label_set_free(set);
        return status;
    }
    *out = set;
    return VITX_OK;
}

void vitx_label_set_free(vitx_label_set *set)
{
    if (!set)
        return;
    const vitx_hooks hooks = set->hooks;
    vx_release(&hooks, set->labels);
    vx_release(&hooks, set->vectors);
    vx_release(&hooks, set);
}

int vitx_label_set_get_info(vitx_label_set_info *out, const vitx_label_set *set)
{
    if (!out || !set)
        return vx_fail(VITX_INVALID, "vitx_label_set_get_info: an argument is NULL");
    return VX_STRUCT_WRITE(out, &set->info, vitx_label_set_info, outputs);
}

const char *vitx_label_set_label(const vitx_label_set *set, int index)
{
    return set && index >= 0 && index < set->info.count ? set->labels[index] : NULL;
}

const float *vitx_label_set_vectors(const vitx_label_set *set)
{
    return set ? set->vectors : NULL;
}
