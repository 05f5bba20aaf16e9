/* search/cmd_search.c: pictures that match words or a picture, best first. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "tools/cli/labels.h"
#include "tools/cli/outputs.h"
#include "tools/cli/progress.h"
#include "tools/cli/sources.h"

static const struct search_settings defaults = {
    .common = COMMON_DEFAULTS, .top = 20, .threshold = -3};

#define AT(member) .offset = offsetof(struct search_settings, member)
static const struct option options[] = {
    {.name = "text",
     .kind = OPTION_LIST,
     AT(texts),
     .value = "TEXT",
     .help = "what to look for, in words; several texts have a list each",
     .more = "Without -m: the bundled pair of a picture and a text tower."},
    {.name = "like",
     .kind = OPTION_TEXT,
     AT(like),
     .value = "PICTURE",
     .path = true,
     .help = "look for pictures like this one; needs no text tower"},
    {.name = "vector",
     .kind = OPTION_TEXT,
     AT(vector),
     .value = "V.npy",
     .path = true,
     .help = "look for an embedding, as embed -o writes it; of any length"},
    {.name = "versus",
     .kind = OPTION_TEXT,
     AT(versus),
     .value = "TEXT",
     .help = "and not this: its cosine is subtracted"},
    {.name = "top",
     .kind = OPTION_INT,
     AT(top),
     .value = "K",
     .low = 1,
     .high = 1000000,
     .word = "all",
     .word_value = 0,
     .help = "how many pictures (default 20), or all"},
    {.name = "here",
     .kind = OPTION_FLAG,
     AT(here),
     .help = "only pictures whose probability is above one half",
     .more = "Without it the K best are printed, whatever they show, and a line says \"not here\" "
             "if none of them is."},
    {.name = "threshold",
     .kind = OPTION_REAL,
     AT(threshold),
     .value = "S",
     .low = -2,
     .high = 2,
     .help = "only pictures whose score is at least S"},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .help = "one JSON object per picture that was found, one per line",
     .more = "{\"text\",\"rank\",\"image\",\"score\",\"cosine\",\"empty\",\"probability\","
             "\"here\"}; \"like\" or \"vector\" in place\n"
             "of \"text\" has no empty, probability and here. With --why also \"why\", the files."},
    {.name = "why",
     .kind = OPTION_TEXT,
     AT(why),
     .value = "OUT",
     .path = true,
     .help = "explains the pictures that were found; OUT as in explain -o",
     .more = "A pattern, as 'why/{image}.png', or a page, as why.html. With several texts "
             "{target} stands for the text."},
    {.name = "method",
     .kind = OPTION_NAMES,
     AT(methods),
     .value = "NAME[,NAME...]",
     .help = "how --why explains (default legrad); vitx-cli methods lists them"},
    {.name = "set",
     .kind = OPTION_LIST,
     AT(set),
     .value = "KEY=VALUE",
     .help = "option of the method, repeatable"},
    {.name = "among",
     .kind = OPTION_LIST,
     AT(among),
     .value = "TEXT|@FILE",
     .listed = true,
     .help = "with --why: other texts that the text is told from, repeatable",
     .more =
         "For methods that compare texts (surgery, clip-es, maskclip). See explain --among. The "
         "order of the\npictures does not depend on it."},
    {.name = "index",
     .kind = OPTION_TEXT,
     AT(index),
     .value = "FILE",
     .path = true,
     .help = "where vectors are kept (default: in the folder, if the pictures are one folder)",
     .more =
         "FOLDER/.vitx-index.*.vec; the name has a digest of the model's weights, the recipe, the "
         "precision and\n"
         "vitx's version, so what was made by another is not mixed in. Pictures that are new or "
         "have changed\n"
         "(size, time) are embedded, those that are gone are dropped. It may be stopped at any "
         "time: the same\n"
         "command goes on. Without pictures FILE is searched as it is."},
    {.name = "no-update",
     .kind = OPTION_FLAG,
     AT(no_update),
     .help = "searches the index as it is, and looks at no picture"},
    {.name = "retry-failed",
     .kind = OPTION_FLAG,
     AT(retry),
     .help = "tries pictures again that could not be read before"},
    {.name = "faiss",
     .kind = OPTION_TEXT,
     AT(faiss),
     .value = "FILE",
     .path = true,
     .help = "writes the vectors as an index of FAISS (IndexFlatIP), and FILE.names",
     .more = "faiss.read_index(FILE) reads it; line i of FILE.names is the picture with id i. For "
             "more than a\n"
             "million pictures."},
};

/* ------------------------------------------------------------------ checks ----------------- */

static int check(const struct search_settings *o, int words)
{
    const int ways = (o->texts.count > 0) + !!o->like + !!o->vector;
    if (ways == 0 && !o->faiss)
        return wrong_usage("needs --text, --like or --vector, or --faiss");
    if (ways > 1)
        return wrong_usage("--text, --like and --vector: one of them");
    for (int i = 0; i < o->texts.count; i++)
        if (strspn(o->texts.items[i], " \t\r\n") == strlen(o->texts.items[i]))
            return wrong_usage("--text is empty");
    if (o->versus && ways == 0)
        return wrong_usage("--versus needs --text, --like or --vector");
    for (int i = 0; o->versus && i < o->texts.count; i++)
        if (strcmp(o->texts.items[i], o->versus) == 0)
            return wrong_usage("--versus is the same text as --text");
    if (o->here && o->texts.count == 0)
        return wrong_usage("--here is for --text");
    if (words == 0 && !o->index)
        return wrong_usage("needs a folder or pictures, or --index");
    if (words > 0 && o->no_update && o->index)
        return wrong_usage("--no-update takes what is in --index, and no pictures");
    return why_check(o);
}

static int check_faiss(const struct search_settings *o, const struct pictures *pictures,
                       const char *place)
{
    struct sources sources = {0};
    sources_gather(&sources, &o->common, pictures->names.items, pictures->names.count);
    sources_add(&sources, place);
    sources_add(&sources, o->like ? o->like : o->vector);
    const int status = sources_ready(&sources)
                           ? check_output(o->faiss, &sources, "the vectors", false)
                           : SOME_FAILED;
    sources_free(&sources);
    return status;
}

static int check_model(const struct session *session, const struct common *common)
{
    if (session->info.units)
        return DONE;
    complain(common->model, "answers with %d classes, not with an embedding",
             session->info.classes);
    return SOME_FAILED;
}

/* ------------------------------------------------------------------ in order --------------- */

struct search {
    const struct search_settings *settings;
    struct session session;
    struct text terms;
    char *place; /* of the index; NULL: none */
    struct index index;
    struct pictures pictures;
    struct queries queries;
    struct found *found; /* [queries.count] */
};

static bool only_reads(const struct search *s, int words)
{
    return s->settings->no_update || words == 0;
}

/* The index, and the pictures that are searched. */
static int open_index(struct search *s, char **words, int count)
{
    const struct search_settings *o = s->settings;
    const bool reads = only_reads(s, count);
    s->place = o->index ? strdup(o->index) : index_place(words, count, s->terms.data);
    if (o->index && !s->place) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    if (reads && !s->place)
        return wrong_usage("--no-update takes one folder, or --index");
    int status = DONE;
    if (!reads)
        status = pictures_list(&s->pictures, words, count, s->place);
    if (status == DONE)
        status = index_open(&s->index, s->place, s->terms.data, s->session.info.classes,
                            reads ? INDEX_TO_READ : INDEX_TO_WRITE, o->common.quiet);
    if (status == DONE && reads)
        status = pictures_of_index(&s->pictures, &s->index);
    return status == DONE && o->faiss ? check_faiss(o, &s->pictures, s->place) : status;
}

static void tell_of_update(const struct search *s, int before, int broken)
{
    const struct search_settings *o = s->settings;
    const int added = s->index.owner_count - before;
    if (o->common.quiet)
        return;
    if (broken > 0)
        complain("note", "%d picture%s cannot be read, as before (--retry-failed tries again)",
                 broken, broken == 1 ? "" : "s");
    if (added > 0 && s->place && s->index.writable && !s->index.full)
        complain("note", "%s: %d picture%s embedded, kept there", s->place, added,
                 added == 1 ? "" : "s");
    else if (added > 0 && s->place && s->index.files[0] >= 0 && !s->index.full)
        complain("note", "%s cannot be written to: %d new picture%s not kept", s->place, added,
                 added == 1 ? " is" : "s are");
    else if (added > 0 && !s->place)
        complain("note", "the vectors are not kept; --index FILE keeps them");
}

/* *failed: what single pictures gave. */
static int update(struct search *s, int words, int *failed)
{
    const int before = s->index.owner_count;
    int broken;
    if (only_reads(s, words)) {
        ask_for(&s->index, &s->pictures);
        return DONE;
    }
    *failed = fill_index(&s->index, &s->session, s->settings, &s->pictures, &broken);
    vitx_context_free(s->session.context);
    s->session.context = NULL;
    if (progress_interrupted())
        return SOME_FAILED;
    if (*failed == WRONG_USAGE)
        return WRONG_USAGE;
    tell_of_update(s, before, broken);
    return DONE;
}

/* A damaged block costs its pictures another run through the model. */
static int look(struct search *s, int words, int *failed)
{
    int damaged = 1;
    s->found = calloc((size_t)s->queries.count + 1, sizeof *s->found);
    if (!s->found) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int tries = 0; damaged && tries < 2; tries++) {
        found_free(s->found, s->queries.count);
        const int status =
            scan(s->found, &damaged, &s->index, &s->queries, s->settings, s->session.size.threads);
        if (status != DONE)
            return status;
        if (damaged)
            complain(s->place, "%d blocks of vectors are damaged%s", damaged,
                     only_reads(s, words) ? " and left out"
                                          : ": their pictures are embedded again");
        if (damaged && only_reads(s, words))
            break;
        const int again = damaged ? update(s, words, failed) : DONE;
        if (again != DONE)
            return again;
    }
    if (damaged) /* what was found is not all */
        *failed = SOME_FAILED;
    return DONE;
}

/* The names of the pictures that were found; owned by the pictures. */
static char **names_of(const struct search *s, const struct found *found)
{
    char **names = calloc((size_t)found->count + 1, sizeof *names);
    for (int i = 0; i < found->count && names; i++)
        names[i] = (char *)s->pictures.all[s->index.entries[found->entries[i]].asked].name;
    return names;
}

static int tell(struct search *s, int q)
{
    const struct search_settings *o = s->settings;
    const struct found *found = &s->found[q];
    struct why *why = NULL;
    char **names = o->why ? names_of(s, found) : NULL;
    int status = DONE;
    if (o->why && !names) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    if (o->why && found->count > 0)
        status = why_open(&why, &s->session, o, &s->pictures,
                          s->queries.texts ? s->queries.all[q].what : NULL, names, found->count);
    if (status == DONE) {
        status = print_found(found, &s->index, &s->queries, q, &s->pictures, o, why);
        const int ended = why ? why_end(why) : DONE;
        status = ended > status ? ended : status;
    }
    why_free(why);
    free(names);
    return status;
}

/* All that is asked of a finished index. */
static int answer(struct search *s)
{
    const struct search_settings *o = s->settings;
    int status = o->faiss ? write_faiss(&s->index, &s->pictures, o) : DONE;
    if (o->why)
        progress_begin(&o->common, 1, 1, NULL);
    for (int q = 0; q < s->queries.count && status != WRONG_USAGE; q++) {
        const int told = tell(s, q);
        status = told > status ? told : status;
    }
    return status;
}

static int search(struct search *s, char **words, int count)
{
    const struct search_settings *o = s->settings;
    int failed = DONE;
    int status = check_model(&s->session, &o->common);
    if (status == DONE && !put_terms(&s->terms, &s->session, &o->common))
        status = SOME_FAILED;
    if (status == DONE)
        status = queries_make(&s->queries, &s->session, o);
    if (status == DONE)
        status = among_open(&s->session, &o->common, &o->among, NULL);
    if (status == DONE)
        status = open_index(s, words, count);
    if (status == DONE)
        status = update(s, count, &failed);
    if (status == DONE)
        status = look(s, count, &failed);
    if (status != DONE)
        return status;
    failed = s->pictures.failed ? SOME_FAILED : failed;
    if (s->index.torn > 0) {
        complain(s->place, "%lld bytes at its end are not whole, and are left out",
                 (long long)s->index.torn);
        failed = SOME_FAILED;
    }
    if (count_asked(&s->index) == 0) {
        complain(s->place, "there is no picture to search");
        return SOME_FAILED;
    }
    status = answer(s);
    if (!progress_interrupted())
        index_tidy(&s->index, s->terms.data);
    return status == DONE ? failed : status;
}

static int run(const void *given, char **words, int count)
{
    struct search_settings settings = *(const struct search_settings *)given;
    struct search s = {.settings = &settings, .index = {.files = {-1, -1}}};
    int status = check(&settings, count);
    if (status != DONE)
        return status;
    settings.common.words.wanted = true; /* the bundled model for pictures alone has classes */
    status = session_open(&s.session, &settings.common);
    if (status == DONE)
        status = search(&s, words, count);
    found_free(s.found, s.found ? s.queries.count : 0);
    free(s.found);
    queries_free(&s.queries);
    pictures_free(&s.pictures);
    index_close(&s.index);
    text_free(&s.terms);
    free(s.place);
    session_close(&s.session);
    return status;
}

const struct command cmd_search = {
    .name = "search",
    .summary = "Finds pictures by words, or by a picture.",
    .usage = "[-m MODEL] --text TEXT [OPTIONS] FOLDER|IMAGE...",
    .details =
        "Prints the pictures that match best, best first: score, probability, name. The score is "
        "the cosine of the\n"
        "picture's vector and the text's. The probability is that of the text beside the empty "
        "text (SigLIP: that\n"
        "of the text alone); below one half what the text names is not there.\n"
        "\n"
        "All pictures are embedded once, and their vectors kept; docs/search.md says how.\n"
        "\n"
        "  vitx-cli search -m clip --text 'a red car at night' photos/\n"
        "  vitx-cli search -m clip --text 'a dog' --text 一只猫 --here photos/\n"
        "  vitx-cli search -m clip --like dog.jpg --top 5 photos/\n"
        "  vitx-cli search -m clip --text 'a dog' --versus 'a wolf' --why why.html photos/\n"
        "  vitx-cli search -m clip --index all.vec --text 'a dog' @pictures.txt",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
