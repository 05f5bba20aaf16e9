/*
 * cli/options.h: the command line as tables.
 *
 * A command is one file that ends in one const struct, plus its row in commands.def. Its options
 * are a table; parsing, the short and the long help all come from it.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "given.h"
#include "reason.h"
#include "say.h"
#include "words.h"

enum option_kind {
    OPTION_FLAG,   /* bool                                                               */
    OPTION_TEXT,   /* const char *                                                       */
    OPTION_INT,    /* int, low..high, or `word`, which stands for word_value             */
    OPTION_REAL,   /* double, low..high                                                  */
    OPTION_BYTES,  /* size_t, with K, M or G                                             */
    OPTION_CHOICE, /* int: the place in `choices`                                        */
    OPTION_SIZE,   /* struct size: S for both sides, or HxW                              */
    OPTION_WINDOW, /* struct window: LOW,HIGH                                            */
    OPTION_LIST,   /* struct list: one item each time the option stands there            */
    OPTION_NAMES   /* struct list: several items each time, separated by commas          */
};

struct option {
    const char *name; /* without the dashes                                              */
    char letter;      /* of the short form; '\0': none                                   */
    enum option_kind kind;
    size_t offset;     /* of the variable in the command's settings                       */
    const char *value; /* how the help writes the value                                   */
    const char *help;  /* one line                                                        */
    const char *more;  /* for the long help; NULL: nothing to add                         */
    double low, high;
    const char *word;
    int word_value;
    const char *const *choices; /* ended by NULL                                          */
    bool path;                  /* the value is one of a file or a folder                 */
    bool zero;                  /* of bytes: none is a number of bytes, too               */
    bool listed;                /* of texts: @FILE stands for a file's lines, and @@x is the
                                   text @x                                                */
};

struct size {
    int height, width; /* pixels */
};

struct window {
    double low, high; /* both 0: none */
};

/* Texts, and the tower that reads them. */
struct words {
    struct list labels, templates; /* classes that are texts, and sentences for them */
    const char *cache;             /* of the labels' vectors; "no": none; NULL: labels.c decides */
    const char *model, *tokenizer, *clean; /* vitx_texts_opts; NULL: the model's own */
    bool wanted; /* the command line asks for a text tower, whatever the model */
};

/* The settings of every command begin with these. */
struct common {
    const char *model;         /* NULL: the bundled one */
    const struct given *given; /* the words that all this comes from */
    const char *labels, *language, *weights_key, *device, *precision, *pos_resample;
    int threads, batch, fit; /* fit as vitx_fit; -1: the command's own default */
    int lanes;               /* 0: lanes.c chooses */
    struct size size;        /* 0 x 0: the recipe's */
    int max_tokens;          /* 0: the library's default */
    int max_patches;         /* 0: the recipe's */
    int max_pixels;          /* of a picture; 0: the library's default */
    bool allow_truncated;
    int page;             /* of a TIFF; 0: the first */
    struct window window; /* of samples of more than 8 bits */
    int gradients;         /* as vitx_gradients */
    int outputs;           /* as vitx_outputs */
    int heads;             /* 0: what the files say */
    const char *ignore;    /* vitx_model_opts.ignore */
    size_t budget, memory; /* memory 0: what the machine has */
    bool quiet, verbose;
    bool unread;            /* some folders of pictures could not be read, which was said */
    bool may_lack_language; /* a language without class names is no failure */
    bool labels_may_be_texts; /* --labels are texts, but for a model with classes of its own */
    struct words words;
};
#define COMMON_DEFAULTS                                                                            \
    {                                                                                              \
        .batch = 1, .fit = -1                                                                      \
    }

struct command {
    const char *name, *summary;
    const char *usage;   /* what follows the name: "-m MODEL [OPTIONS] IMAGE..."           */
    const char *details; /* paragraphs of the long help                                    */
    const struct option *options;
    int option_count;
    /* A command whose settings these begin with, and its options that this one has, too, ended by
     * NULL. NULL: none. */
    const struct command *like;
    const char *const *taken;
    const void *defaults; /* settings to start from                                        */
    size_t settings_size;
    bool pictures; /* the arguments are pictures: @LIST stands for those that a file lists */
    int (*run)(const void *settings, char **files, int file_count); /* gives the exit status */
};

/* The options of every command (common.c), but those that a command has under the same name itself:
 * serve's --model may stand there several times. */
extern const struct option common_options[];
extern const int common_option_count;

/* Whether the command has an option of the one that it is like. */
bool takes_option(const struct command *command, const struct option *option);
/* The options of a command: its own, those that it takes, the common ones; NULL past the last. */
const struct option *option_at(const struct command *command, int index);
/* The option of a command, or of all commands, with that name; NULL: there is none. */
const struct option *option_find(const struct command *command, const char *name);
/* Stores a value as if it had stood on the command line; a flag takes none. The text is borrowed,
 * but for lists. Complains; gives an exit status. */
int option_store(void *settings, const struct option *option, const char *value);
/* A copy of the command's defaults; NULL without memory. To be freed with its lists. */
void *settings_create(const struct command *command);
void settings_free(const struct command *command, void *settings);

/* Parses and runs; argv[0] is the command's name. */
int command_main(const struct command *command, int argc, char **argv);

#endif
