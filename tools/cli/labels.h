/*
 * cli/labels.h: words on the command line: the text tower of a model, and classes that are texts
 * (--label, --labels, --template).
 */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include "digest.h"
#include "session.h"

/* The options of a command that knows classes that are texts. */
#define LABEL_OPTIONS                                                                              \
    {.name = "label",                                                                              \
     .kind = OPTION_LIST,                                                                          \
     .offset = offsetof(struct common, words.labels),                                              \
     .value = "TEXT",                                                                              \
     .help = "a class as a text, repeatable; for models with a text tower",                        \
     .more = "Any words in any language that the model knows. Without -m: the bundled pair of a "  \
             "picture and a\ntext tower."},                                                        \
        {.name = "labels",                                                                         \
         .kind = OPTION_TEXT,                                                                      \
         .offset = offsetof(struct common, labels),                                                \
         .value = "FILE",                                                                          \
         .path = true,                                                                             \
         .help = "such texts, one a line; for a model with classes: their names",                  \
         .more = "Without -m: texts for the bundled pair. Names of classes may also be JSON: an "  \
                 "array of names, an object from\nindex to name or from name to index, or a "      \
                 "config.json of Hugging Face."},                                                  \
        {.name = "template",                                                                       \
         .kind = OPTION_LIST,                                                                      \
         .offset = offsetof(struct common, words.templates),                                       \
         .value = "NAME|FILE|TEXT",                                                                \
         .help = "sentences for a label, like 'a photo of a {}', repeatable",                      \
         .more =                                                                                   \
             "{} stands for the label, and the label's vector is the mean over all sentences. "    \
             "A name is one of those that\ncome with vitx (imagenet80, simple7, zh80, zh7); a "    \
             "file has one sentence a line."},                                                     \
    {                                                                                              \
        .name = "label-cache", .kind = OPTION_TEXT,                                                \
        .offset = offsetof(struct common, words.cache), .value = "FILE|no",                        \
        .help = "where the labels' vectors are kept (default: beside the model, if many)",         \
        .more = "From 1000 sentences on they are kept in a file labels.*.vitx in the model's "     \
                "folder, if it can be written\nto. What has changed since is computed again."      \
    }

/* All complain and give an exit status. */

/* The text tower of a session's model, for session->texts; nothing if it is there already. */
int texts_open(struct session *session, const struct common *common);
/* The same with a progress of the tower's own. Does not complain: the library's status. */
int texts_try(struct session *session, const struct common *common, vitx_progress *progress);
/* Whether the command line speaks of classes that are texts: --label or --template; or --labels,
 * if the model, which is open, has no classes of its own. */
bool labels_asked(const struct session *session, const struct common *common);
/* session->labels from the command line. digest: of what their vectors depend on; NULL: not
 * wanted, which saves reading the weights once more. */
int labels_open(struct session *session, const struct common *common, char *digest);
/* The same with a line of progress, and Ctrl-C: for a command that has no signals of its own. */
int labels_open_watched(struct session *session, const struct common *common, char *digest);
/* Refuses a --label-cache that would hold nothing; labels: whether there are classes that are
 * texts. */
int check_label_cache(const struct common *common, bool labels);
/* Warns of a text that the tower cuts, unless --quiet; of several, and another one or NULL. */
void warn_if_cut(const struct session *session, const struct common *common, const char *text);
void warn_of_cuts(const struct session *session, const struct common *common,
                  const struct list *texts, const char *other);

/* How many classes pictures are answered with, and whether each has a probability: those of the
 * model, or texts. */
int classes_of(const struct session *session);
bool has_probabilities(const struct session *session);

/* session->among: the texts of --among, and of files that stand there as @FILE, one a line; @@x is
 * the text @x. For a session whose text tower is open; nothing if there are no words. digest: of
 * what their vectors depend on; NULL: not wanted. Complains; an exit status. */
int among_open(struct session *session, const struct common *common, const struct list *words,
               char *digest);

/* The labels and the sentences that the command line names, those of files among them; free both
 * lists whatever comes of it. Complains; an exit status. */
int labels_gather(struct list *labels, struct list *templates, const struct common *common);
/* Whether --template takes it without looking for a file of that name. */
bool template_is_known(const char *word);
/* What other labels, or the same in other sentences, do not have. false without memory. */
bool labels_digest(uint8_t out[DIGEST_BYTES], const struct list *labels,
                   const struct list *templates);
/* The vectors of labels in sentences (none: as they stand), kept in a file (NULL: not). The
 * library's status. */
int labels_create(vitx_label_set **out, vitx_texts *texts, const struct list *labels,
                  const struct list *templates, const char *cache);

#endif
