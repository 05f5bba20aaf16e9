/* cli/eval_words.c: see eval_words.h. */
#include "eval_words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const word_languages[] = {"en", "zh", NULL};

/* The form that names a thing as captions do: "a photo of a cat". */
enum { FORM = 1 };

/* -------------------------------------------------------------------------- sentences ----- */

static void write_things(char (*things)[SENTENCE_BYTES], enum language language)
{
    for (int k = 0; k < scene_classes(); k++)
        sentence_write(things[k], &(struct fact){.kind = FACT_THING, .thing = k}, FORM, language);
}

/* All of them, and the empty text behind them; to be freed. NULL: no memory. */
static const char **list_things(char (*things)[SENTENCE_BYTES])
{
    const char **list = calloc((size_t)scene_classes() + 1, sizeof *list);
    for (int k = 0; list && k < scene_classes(); k++)
        list[k] = things[k];
    if (list)
        list[scene_classes()] = "";
    return list;
}

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static int answered(int code, const struct session *session)
{
    if (code == VITX_OK)
        return DONE;
    complain_last(session->path);
    return SOME_FAILED;
}

static int embed_things(struct eval_words *w)
{
    const char **list = list_things(w->things);
    if (!list)
        return no_memory();
    const int code = vitx_texts_embed(w->vectors, w->session->texts, list, scene_classes() + 1, 1);
    free(list);
    return answered(code, w->session);
}

int eval_words_among(struct session *session, enum language language)
{
    char(*things)[SENTENCE_BYTES] = calloc((size_t)scene_classes(), sizeof *things);
    int status;
    if (things)
        write_things(things, language);
    const char **list = things ? list_things(things) : NULL;
    if (list)
        status = answered(
            vitx_label_set_create(&session->among, session->texts, list, scene_classes(), NULL),
            session);
    else
        status = no_memory();
    free(list);
    free(things);
    return status;
}

int eval_words_create(struct eval_words *w, const struct session *session, enum language language)
{
    const size_t n = (size_t)scene_classes() + 1, units = (size_t)session->info.classes;
    *w = (struct eval_words){
        .session = session, .language = language, .units = session->info.classes};
    w->things = calloc(n, sizeof *w->things);
    w->vectors = calloc(n * units, sizeof *w->vectors);
    w->picture = calloc(units, sizeof *w->picture);
    w->cosines = calloc(n, sizeof *w->cosines);
    if (!w->things || !w->vectors || !w->picture || !w->cosines)
        return no_memory();
    write_things(w->things, language);
    return embed_things(w);
}

void eval_words_free(struct eval_words *w)
{
    free(w->things);
    free(w->vectors);
    free(w->picture);
    free(w->cosines);
    *w = (struct eval_words){0};
}

/* -------------------------------------------------------------------------- one scene ----- */

static double cosine(const struct eval_words *w, const float *vector)
{
    double sum = 0;
    for (int k = 0; k < w->units; k++)
        sum += (double)w->picture[k] * vector[k];
    return sum;
}

/* Each thing against the empty text. */
static void count_things(struct eval_words *w, const struct facts *facts)
{
    const double empty = w->cosines[scene_classes()];
    for (int k = 0; k < scene_classes(); k++) {
        const bool there = facts_find(facts, k) >= 0, found = w->cosines[k] > empty;
        struct share *share = there ? &w->there : &w->absent;
        share->all++;
        share->right += there == found;
    }
}

/* Whether the best things, as many as the scene has, are the scene's. */
static bool names_all(const struct eval_words *w, const struct facts *facts)
{
    for (int i = 0; i < facts->count; i++) {
        int better = 0;
        for (int k = 0; k < scene_classes(); k++)
            better += w->cosines[k] > w->cosines[facts->objects[i].kind];
        if (better >= facts->count)
            return false;
    }
    return true;
}

/* A true sentence and the false one behind it. */
static void count_pair(struct eval_words *w, const struct sentence *sentences, int i,
                       const float *vectors)
{
    struct share *share = &w->kinds[sentences[i].fact.kind];
    const float *first = vectors + (size_t)i * (size_t)w->units;
    share->all++;
    share->right += cosine(w, first) > cosine(w, first + w->units);
}

static int compare_sentences(struct eval_words *w, const struct sentence *sentences, int n)
{
    const char *list[SENTENCES_MOST];
    float *vectors = calloc((size_t)n * (size_t)w->units, sizeof *vectors);
    if (!vectors)
        return VITX_NOMEM;
    for (int i = 0; i < n; i++)
        list[i] = sentences[i].text[w->language];
    const int code = n ? vitx_texts_embed(vectors, w->session->texts, list, n, 1) : VITX_OK;
    for (int i = 0; i + 1 < n && code == VITX_OK; i++)
        if (sentences[i].truth && !sentences[i + 1].truth)
            count_pair(w, sentences, i, vectors);
    free(vectors);
    return code;
}

int eval_words_ask(struct eval_words *w, bool *right, const struct scene *scene,
                   const vitx_image *image, uint64_t seed, uint64_t index)
{
    struct sentence sentences[SENTENCES_MOST];
    struct facts facts;
    facts_measure(&facts, scene);
    const int n = sentences_make(sentences, &facts, seed, index);
    const int code = vitx_embed(w->session->context, image, w->picture, 1);
    if (code != VITX_OK)
        return code;
    for (int k = 0; k <= scene_classes(); k++)
        w->cosines[k] = cosine(w, w->vectors + (size_t)k * (size_t)w->units);
    count_things(w, &facts);
    *right = names_all(w, &facts);
    return compare_sentences(w, sentences, n);
}

/* -------------------------------------------------------------------------- results ------- */

static double percent(struct share share)
{
    return share.all ? 100.0 * share.right / share.all : NAN;
}

void eval_words_print(const struct eval_words *w)
{
    printf("asked in words (%s), as \"%s\"%s\n", word_languages[w->language], w->things[0],
           w->told_apart ? ", told from all other things" : "");
    printf("of the things that are there %.1f %% are nearer than the empty text, of those that are "
           "not %.1f %% are not\n",
           percent(w->there), percent(w->absent));
    printf("what is true is nearer than what is not:");
    for (int kind = 0; kind < FACT_KINDS; kind++)
        if (w->kinds[kind].all)
            printf("%s %s %.1f %%", kind ? "," : "", fact_kind_name((enum fact_kind)kind),
                   percent(w->kinds[kind]));
    printf("\n");
}

static void print_share(const char *before, const char *name, struct share share)
{
    printf("%s\"%s\":{\"right\":%d,\"of\":%d}", before, name, share.right, share.all);
}

void eval_words_print_json(const struct eval_words *w)
{
    printf(",\"words\":{\"language\":\"%s\"", word_languages[w->language]);
    print_share(",", "there", w->there);
    print_share(",", "absent", w->absent);
    for (int kind = 0; kind < FACT_KINDS; kind++)
        print_share(",", fact_kind_name((enum fact_kind)kind), w->kinds[kind]);
    if (w->told_apart)
        printf(",\"among\":%d", scene_classes() - 1);
    putchar('}');
}
