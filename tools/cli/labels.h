/*
 * cli/labels.h: words on the command line: the text tower of a model, and classes that are texts
 * (--label, --labels, --template).
 */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include "session.h"

/* The options of a command that knows classes that are texts. */
#define LABEL_OPTIONS                                                                              \
    {.name = "label",                                                                              \
     .kind = OPTION_LIST,                                                                          \
     .offset = offsetof(struct common, words.labels),                                              \
     .value = "TEXT",                                                                              \
     .help = "a class as a text, repeatable; for models with a text tower",                        \
     .more =                                                                                       \
         "Any words in any language that the model knows. Without -m: the bundled pair of a "      \
         "picture and a\ntext tower. --labels FILE takes such texts from a file, one a line."},    \
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
/* Whether the command line speaks of classes that are texts: --label or --template; or --labels,
 * if the model, which is open, has no classes of its own. */
bool labels_asked(const struct session *session, const struct common *common);
/* session->labels from the command line. digest: of what their vectors depend on; NULL: not
 * wanted, which saves reading the weights once more. */
int labels_open(struct session *session, const struct common *common, char *digest);

/* How many classes pictures are answered with, and whether each has a probability: those of the
 * model, or texts. */
int classes_of(const struct session *session);
bool has_probabilities(const struct session *session);

#endif
