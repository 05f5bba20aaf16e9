/* cli/direction.c: see direction.h. */
#include "direction.h"

#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "methods.h"

int direction_check(const struct direction_words *w, const char *others)
{
    if (w->others + !!w->vector + !!w->like + !!w->texts > 1)
        return wrong_usage("%s, --vector, --like and --text: one of them", others);
    const bool of_vector = w->score == VITX_SCORE_COSINE || w->score == VITX_SCORE_DOT;
    const bool vector = w->vector || w->like || w->texts;
    if (vector && w->score != VITX_SCORE_AUTO && !of_vector)
        return wrong_usage("--%s is for --score cosine or dot", w->vector ? "vector"
                                                                : w->like ? "like"
                                                                          : "text");
    if (of_vector && !vector)
        return wrong_usage("--score %s is for --vector, --like or --text", score_names[w->score]);
    return DONE;
}

int text_check(const char *text)
{
    return text[strspn(text, " \t\r\n")] ? DONE : wrong_usage("--text is empty");
}

int vector_load(float *out, int count, const char *file)
{
    const int code = vitx_vector_load(out, count, file);
    if (code == VITX_INVALID)
        return wrong_usage("--vector %s", reason());
    if (code != VITX_OK) {
        complain_last(file);
        return SOME_FAILED;
    }
    return DONE;
}

static int load_vector(struct direction *d, const char *file, int count)
{
    d->vector = calloc((size_t)count, sizeof *d->vector);
    d->count = count;
    if (!d->vector) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    return vector_load(d->vector, count, file);
}

int direction_load(struct direction *d, const struct direction_words *w,
                   const struct session *session, const struct common *common)
{
    const int status = w->vector ? load_vector(d, w->vector, session->info.classes) : DONE;
    return w->like && !image_load_beside(&d->like, w->like, common) ? SOME_FAILED : status;
}

void direction_give(const struct direction *d, vitx_explain_opts *opts, int count)
{
    for (int i = 0; i < count && (d->vector || d->like); i++) {
        opts[i].vector = d->vector;
        opts[i].vector_count = d->count;
        opts[i].like = d->like;
    }
}

void direction_free(struct direction *d)
{
    free(d->vector);
    vitx_image_free(d->like);
    *d = (struct direction){0};
}
