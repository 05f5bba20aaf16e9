/* cli/labels.c: see labels.h. */
#define _POSIX_C_SOURCE 200809L
#include "labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundled.h"
#include "digest.h"
#include "progress.h"
#include "text.h"

/* Sentences from which on vectors are kept without being asked to. */
#define MANY 1000
/* Of a file; a text has no more bytes, and a set of labels no more texts (vitx/texts.h). */
enum { LINE_MOST = 16 << 20, LINES_MOST = 1000000 };
enum { AMONG_MOST = 10000 }; /* vitx_explain_opts.among */

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* -------------------------------------------------------------------------- files --------- */

static const char blanks[] = " \t\r\n\v\f";

static int add_line(struct list *out, const char *line, size_t length, const char *path, int number)
{
    if (memchr(line, '\0', length)) {
        complain(path, "line %d holds a zero byte", number);
        return SOME_FAILED;
    }
    const size_t mark = number == 1 ? text_mark(line, length) : 0;
    line += mark;
    length -= mark;
    while (length > 0 && strchr(blanks, line[length - 1]))
        length--;
    for (; length > 0 && strchr(blanks, *line); line++)
        length--;
    return length == 0 || list_add(out, line, length) ? DONE : no_memory();
}

/* The next line, without its end, or its first LINE_MOST + 1 bytes; false: there is none. */
static bool read_line(struct text *line, FILE *file)
{
    int c;
    line->length = 0;
    while ((c = getc(file)) != EOF && c != '\n' && line->length <= LINE_MOST)
        text_add(line, &(char){(char)c}, 1);
    return c != EOF || line->length > 0;
}

static int check_line(const struct text *line, const struct list *lines, const char *path,
                      int number)
{
    if (line->failed)
        return no_memory();
    if (line->length <= LINE_MOST && lines->count < LINES_MOST)
        return DONE;
    if (lines->count == LINES_MOST)
        complain(path, "more than %d lines", LINES_MOST);
    else
        complain(path, "line %d has more than %d bytes", number, LINE_MOST);
    return SOME_FAILED;
}

/* The lines of a file that are not blank, without the white space at their ends. */
static int lines_of(struct list *out, const char *path)
{
    struct text line = {.data = NULL};
    int status = DONE, number = 0;
    FILE *file = fopen(path, "r");
    errno = file ? 0 : errno;
    while (file && status == DONE && read_line(&line, file)) {
        status = check_line(&line, out, path, ++number);
        if (status == DONE && line.length > 0)
            status = add_line(out, line.data, line.length, path, number);
    }
    if (status == DONE && (!file || ferror(file))) {
        complain(path, "%s", strerror(errno ? errno : EIO));
        status = SOME_FAILED;
    }
    text_free(&line);
    if (file)
        fclose(file);
    return status;
}

/* -------------------------------------------------------------------------- the tower ----- */

int texts_try(struct session *session, const struct common *common, vitx_progress *progress)
{
    vitx_texts_opts opts = VITX_TEXTS_OPTS_INIT;
    vitx_context_opts context = context_opts_of(common, VITX_FIT_RECIPE);
    if (session->texts)
        return VITX_OK;
    context.progress = progress;
    opts.path = common->words.model;
    opts.tokenizer = common->words.tokenizer;
    opts.clean = common->words.clean;
    opts.context = &context;
    return vitx_texts_create(&session->texts, session->model, &opts);
}

int texts_open(struct session *session, const struct common *common)
{
    const int code = texts_try(session, common, progress_tick);
    return code == VITX_OK ? DONE : refused(code, session->path);
}

void warn_if_cut(const struct session *session, const struct common *common, const char *text)
{
    int count, cut = 0;
    if (!common->quiet &&
        vitx_texts_tokens(NULL, 0, &count, &cut, session->texts, text) == VITX_OK && cut)
        complain("warning", "a text is longer than the text tower reads, and was cut: %.*s...",
                 text_beginning(text, 40), text);
}

void warn_of_cuts(const struct session *session, const struct common *common,
                  const struct list *texts, const char *other)
{
    for (int i = 0; i < texts->count; i++)
        warn_if_cut(session, common, texts->items[i]);
    if (other)
        warn_if_cut(session, common, other);
}

/* -------------------------------------------------------------------------- labels -------- */

bool labels_asked(const struct session *session, const struct common *common)
{
    return common->words.labels.count || common->words.templates.count ||
           (common->labels && session->info.units);
}

int check_label_cache(const struct common *common, bool labels)
{
    const char *cache = common->words.cache;
    if (labels || !cache || strcmp(cache, "no") == 0)
        return DONE;
    return wrong_usage("--label-cache %s: no classes are texts here; --label, or --labels for a "
                       "model without classes, gives some",
                       cache);
}

static int add_words(struct list *out, const struct list *given)
{
    for (int i = 0; i < given->count; i++)
        if (!list_add(out, given->items[i], strlen(given->items[i])))
            return no_memory();
    return DONE;
}

static int gather_labels(struct list *out, const struct common *common)
{
    int status = add_words(out, &common->words.labels);
    if (status == DONE && common->labels)
        status = lines_of(out, common->labels);
    if (status == DONE && common->labels && out->items && out->count > common->words.labels.count &&
        strchr("[{", out->items[common->words.labels.count][0]))
        return wrong_usage("--labels %s: it begins like JSON; labels that are texts stand one a "
                           "line",
                           common->labels);
    if (status == DONE && out->count == 0)
        return wrong_usage(common->labels ? "--labels %s: the file has no labels"
                                          : "--template needs labels: --label or --labels%s",
                           common->labels ? common->labels : "");
    return status;
}

/* Templates that come with vitx, to be freed; NULL: no such name. */
static char *bundled_templates(const char *name)
{
    char file[80];
    if (strchr(name, '/') || strlen(name) > 40)
        return NULL;
    snprintf(file, sizeof file, "templates/%s.txt", name);
    return bundled_file(file);
}

bool template_is_known(const char *word)
{
    char *bundled = strstr(word, "{}") ? NULL : bundled_templates(word);
    const bool known = bundled || strstr(word, "{}");
    free(bundled);
    return known;
}

static int add_templates(struct list *out, const char *word)
{
    if (strstr(word, "{}"))
        return list_add(out, word, strlen(word)) ? DONE : no_memory();
    char *bundled = bundled_templates(word);
    if (!bundled && access(word, F_OK) != 0)
        return wrong_usage(
            "--template %s: no file, no set of that name (imagenet80, simple7, zh80, "
            "zh7), and no sentence with {}",
            word);
    const int status = lines_of(out, bundled ? bundled : word);
    free(bundled);
    return status;
}

static int gather_templates(struct list *out, const struct list *given)
{
    int status = DONE;
    for (int i = 0; i < given->count && status == DONE; i++)
        status = add_templates(out, given->items[i]);
    if (status == DONE && given->count && out->count == 0)
        return wrong_usage("--template %s: there are no sentences in it", given->items[0]);
    return status;
}

int labels_gather(struct list *labels, struct list *templates, const struct common *common)
{
    const int status = gather_labels(labels, common);
    return status == DONE ? gather_templates(templates, &common->words.templates) : status;
}

bool labels_digest(uint8_t out[DIGEST_BYTES], const struct list *labels,
                   const struct list *templates)
{
    struct digest *digest = digest_begin();
    if (!digest)
        return false;
    for (int i = 0; i < labels->count; i++)
        digest_add(digest, labels->items[i], strlen(labels->items[i]) + 1);
    digest_add(digest, "", 1);
    for (int i = 0; i < templates->count; i++)
        digest_add(digest, templates->items[i], strlen(templates->items[i]) + 1);
    digest_end(digest, out);
    return true;
}

/* Where vectors are kept, to be freed; NULL: nowhere. */
static char *cache_path(const struct session *session, const struct common *common,
                        const struct list *labels, const struct list *templates)
{
    uint8_t digest[DIGEST_BYTES];
    char name[DIGEST_TEXT];
    const char *given = common->words.cache;
    const long sentences = (long)labels->count * (templates->count ? templates->count : 1);
    if (given)
        return strcmp(given, "no") == 0 ? NULL : strdup(given);
    const char *of = common->words.model ? common->words.model : session->path;
    if (sentences < MANY || access(of, W_OK | X_OK) != 0 ||
        !labels_digest(digest, labels, templates))
        return NULL;
    const size_t room = strlen(of) + 64;
    char *path = malloc(room);
    digest_text(name, digest);
    if (path)
        snprintf(path, room, "%s/labels.%.16s.vitx", of, name);
    return path;
}

int labels_create(vitx_label_set **out, vitx_texts *texts, const struct list *labels,
                  const struct list *templates, const char *cache)
{
    vitx_label_set_opts opts = VITX_LABEL_SET_OPTS_INIT;
    opts.templates = templates->count ? (const char *const *)templates->items : NULL;
    opts.template_count = templates->count;
    opts.cache = cache;
    return vitx_label_set_create(out, texts, (const char *const *)labels->items, labels->count,
                                 &opts);
}

static void warn_of_cut(const vitx_label_set *set, const struct common *common, const char *what)
{
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    if (!common->quiet && vitx_label_set_get_info(&info, set) == VITX_OK && info.cut)
        complain("warning", "%d of the %s are longer than the text tower reads, and were cut",
                 info.cut, what);
}

static int gather_among(struct list *out, const struct list *words)
{
    int status = DONE;
    for (int i = 0; i < words->count && status == DONE; i++) {
        const char *word = words->items[i];
        const bool marked = word[0] == '@' && word[1], doubled = marked && word[1] == '@';
        if (marked && !doubled)
            status = lines_of(out, word + 1);
        else if (!word[strspn(word, blanks)])
            status = wrong_usage("--among: a text is empty");
        else
            status = list_add(out, word + doubled, strlen(word + doubled)) ? DONE : no_memory();
    }
    if (status == DONE && out->count == 0)
        return wrong_usage("--among %s: there are no texts in it", words->items[0]);
    if (status == DONE && out->count > AMONG_MOST) /* before they are run */
        return wrong_usage("--among: %d texts to be told from, at most %d are accepted", out->count,
                           AMONG_MOST);
    return status;
}

int among_open(struct session *session, const struct common *common, const struct list *words,
               char *digest)
{
    struct list texts = {0}, none = {0};
    if (words->count == 0)
        return DONE;
    int status = gather_among(&texts, words), code = VITX_OK;
    if (status == DONE)
        code = labels_create(&session->among, session->texts, &texts, &none, NULL);
    if (status == DONE && code == VITX_OK && digest)
        code = vitx_texts_digest(digest, session->texts, (const char *const *)texts.items,
                                 texts.count);
    list_free(&texts);
    if (code != VITX_OK)
        return refused(code, session->path);
    if (status == DONE)
        warn_of_cut(session->among, common, "texts of --among");
    return status;
}

static int create(struct session *session, const struct common *common, const struct list *labels,
                  const struct list *templates)
{
    char *cache = cache_path(session, common, labels, templates);
    const int code = labels_create(&session->labels, session->texts, labels, templates, cache);
    free(cache);
    if (code != VITX_OK)
        return refused(code, session->path);
    warn_of_cut(session->labels, common, "sentences");
    return DONE;
}

/* Labels are never empty, so the empty text stands between them and the templates. */
static int put_digest(char *digest, const struct session *session, const struct list *labels,
                      const struct list *templates)
{
    struct list all = {0};
    int status = add_words(&all, labels);
    if (status == DONE && !list_add(&all, "", 0))
        status = no_memory();
    if (status == DONE)
        status = add_words(&all, templates);
    const int code = status == DONE ? vitx_texts_digest(digest, session->texts,
                                                        (const char *const *)all.items, all.count)
                                    : VITX_OK;
    list_free(&all);
    return code == VITX_OK ? status : refused(code, session->path);
}

int labels_open(struct session *session, const struct common *common, char *digest)
{
    struct list labels = {0}, templates = {0};
    int status = labels_gather(&labels, &templates, common);
    if (status == DONE)
        status = texts_open(session, common);
    if (status == DONE)
        status = create(session, common, &labels, &templates);
    if (status == DONE && digest)
        status = put_digest(digest, session, &labels, &templates);
    list_free(&labels);
    list_free(&templates);
    return status;
}

int labels_open_watched(struct session *session, const struct common *common, char *digest)
{
    progress_begin(common, 1, 1, NULL);
    progress_step(0, 1, "labels");
    const int status = labels_open(session, common, digest);
    progress_hide();
    return status;
}

int classes_of(const struct session *s)
{
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    if (s->labels && vitx_label_set_get_info(&info, s->labels) == VITX_OK)
        return info.count;
    return s->info.classes;
}

bool has_probabilities(const struct session *s)
{
    return s->labels || s->info.outputs != VITX_OUTPUTS_NONE;
}
