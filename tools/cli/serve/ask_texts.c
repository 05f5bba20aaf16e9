/* serve/ask_texts.c: the texts of a request: labels, texts that are explained or embedded. */
#include "asked.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/labels.h"

static bool is_text(const char *name)
{
    static const char *const names[] = {"label", "template", "text", "versus", "among"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool ask_check_text(const struct field *field, struct problem *why)
{
    const unsigned char *p = (const unsigned char *)field->value;
    bool blank = true;
    if (!is_text(field->name))
        return true;
    for (int n; *p && (n = utf8_length(p)) > 0; p += n)
        blank = blank && strchr(" \t\r\n\v\f", *p);
    if (*p)
        return refuse(why, 400, "bad_text", NULL, "%s: the text is no UTF-8", field->name);
    return !blank || refuse(why, 400, "bad_text", NULL, "%s: the text is empty", field->name);
}

static bool refuse_words(struct problem *why, const char *name)
{
    return refuse(why, 400, "no_text_tower", "GET /v1/models says which models take texts",
                  "%s: the model has no text tower", name);
}

bool ask_check_texts(const struct ask *ask, const struct list *texts, struct problem *why)
{
    if (texts->count > 0 && !ask->model->session.texts)
        return refuse_words(why, "text");
    return texts->count <= TEXTS_MOST ||
           refuse(why, 422, "too_many_texts", NULL, "%d texts, a request may have %d", texts->count,
                  TEXTS_MOST);
}

/* What the labels' lists may not be, before a sentence is made of them. */
static bool check_labels(const struct ask *ask, const struct words *words, struct problem *why)
{
    if (!ask->model->session.texts)
        return refuse_words(why, words->labels.count ? "label" : "template");
    if (words->labels.count == 0)
        return refuse(why, 400, "bad_option", "label=TEXT, several times",
                      "template: there is no label for it");
    if (words->labels.count > LABELS_MOST)
        return refuse(why, 422, "too_many_labels", "vitx-cli serve --labels takes more",
                      "%d labels, a request may have %d", words->labels.count, LABELS_MOST);
    for (int i = 0; i < words->templates.count; i++)
        if (!template_is_known(words->templates.items[i]))
            return refuse(why, 400, "bad_option", "imagenet80, simple7, zh80, zh7",
                          "template: no sentence with {}, and no set of that name");
    return true;
}

static bool refuse_unnamed(const struct session *s, struct problem *why)
{
    if (s->texts)
        return refuse(why, 400, "no_labels", "label=TEXT, several times",
                      "the model has no classes of its own: the request names labels");
    return refuse(why, 422, "no_classes", "embed gives its embedding", "the model has no classes");
}

bool ask_take_labels(struct ask *ask, struct problem *why)
{
    const struct session *s = &ask->model->session;
    const struct words *words = &((const struct common *)ask->answers)->words;
    char *said;
    size_t length;
    if (words->labels.count + words->templates.count == 0)
        return !s->info.units || s->labels || refuse_unnamed(s, why);
    if (!check_labels(ask, words, why))
        return false;
    say_hold(&said, &length);
    const int status = labels_want(&ask->labels, ask->answers, ask->model);
    say_release();
    if (status != DONE)
        refuse_as_said(why, status == WRONG_USAGE ? 400 : 503, "bad_option", said, ask->model);
    free(said);
    ask->of_texts = labels_cost(&ask->labels);
    ask->cost += ask->of_texts;
    return status == DONE &&
           (ask->of_texts <= SENTENCES_MOST ||
            refuse(why, 422, "too_many_labels", "vitx-cli serve --labels takes more",
                   "%d sentences of labels, a request may have %d", ask->of_texts, SENTENCES_MOST));
}

/* Whether all texts to be told from are the text itself. */
static bool is_alone(const struct list *among, const char *text)
{
    int same = 0;
    while (same < among->count && strcmp(among->items[same], text) == 0)
        same++;
    return same == among->count;
}

static bool check_others(const struct ask *ask, struct problem *why)
{
    const struct explain_settings *o = ask->explain;
    if (o->among.count > LABELS_MOST)
        return refuse(why, 422, "too_many_texts", NULL,
                      "among: %d texts to be told from, a request may have %d", o->among.count,
                      LABELS_MOST);
    for (int i = 0; i < o->texts.count; i++)
        if (is_alone(&o->among, o->texts.items[i]))
            return refuse(why, 400, "bad_option", NULL,
                          "among: no text to be told from is another than \"%s\"",
                          o->texts.items[i]);
    return true;
}

bool ask_take_among(struct ask *ask, struct problem *why)
{
    const struct list *among = &((const struct explain_settings *)ask->explain)->among;
    char *said;
    size_t length;
    if (among->count == 0)
        return true;
    if (!ask->model->session.texts)
        return refuse_words(why, "among");
    if (!check_others(ask, why))
        return false;
    say_hold(&said, &length);
    const int status = texts_want(&ask->among, among, ask->model);
    say_release();
    if (status != DONE)
        refuse_as_said(why, 503, "no_memory", said, ask->model);
    free(said);
    return status == DONE;
}

int ask_classes(const struct ask *ask)
{
    const struct session *s = &ask->model->session;
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    if (ask->labels.labels.count > 0)
        return ask->labels.labels.count;
    if (s->labels && vitx_label_set_get_info(&info, s->labels) == VITX_OK)
        return info.count;
    return s->info.classes;
}
