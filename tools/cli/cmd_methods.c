/* cli/cmd_methods.c: every method with its options, defaults and cost. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "methods.h"
#include "results.h"

struct settings {
    struct common common;
    bool json;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS};

static const struct option options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object per method, one per line",
     .more = "{\"name\",\"summary\",\"cost\",\"reference\",\"uses_target\",\"options\":[{\"key\","
             "\"default\",\"values\",\n"
             "\"help\"}],\"is_signed\",\"on_pixels\",\"channels\",\"among\"}"},
};

static void print_json(const vitx_method_info *m)
{
    printf("{\"name\":");
    json_text(m->name);
    printf(",\"summary\":");
    json_text(m->summary);
    printf(",\"cost\":");
    json_text(m->cost);
    printf(",\"reference\":");
    json_text(m->reference);
    printf(",\"uses_target\":%s,\"options\":[", m->uses_target ? "true" : "false");
    for (int i = 0; i < m->option_count; i++) {
        printf("%s{\"key\":", i ? "," : "");
        json_text(m->options[i].key);
        printf(",\"default\":");
        json_text(m->options[i].fallback);
        printf(",\"values\":");
        json_text(m->options[i].values);
        printf(",\"help\":");
        json_text(m->options[i].help);
        printf("}");
    }
    printf("],\"is_signed\":%s,\"on_pixels\":%s,\"channels\":%d,\"among\":%s}\n",
           m->is_signed ? "true" : "false", m->on_pixels ? "true" : "false", m->channels,
           m->among ? "true" : "false");
}

enum { LIST_WIDTH = 100 }; /* where there is no terminal */

/* Widths of the list's columns. */
struct columns {
    int name, cost, what;
};

/* The columns are as wide as there is room, and texts are wrapped within them; programs read
 * --json. */
static struct columns measure(void)
{
    const int width = terminal_width(STDOUT_FILENO, LIST_WIDTH);
    struct columns c = {.name = (int)strlen("name"), .cost = (int)strlen("cost")};
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    for (int i = 0; i < vitx_method_count() && vitx_method_get(&m, i) == VITX_OK; i++) {
        const int name = (int)strlen(m.name), cost = (int)strlen(text_or(m.cost, ""));
        c.name = name > c.name ? name : c.name;
        c.cost = cost > c.cost ? cost : c.cost;
    }
    const int room = width > c.name + 4 + 32 ? width - c.name - 4 : 32;
    c.cost = c.cost > room / 3 ? room / 3 : c.cost;
    c.what = room - c.cost;
    return c;
}

/* As many words as fit into `width` columns, at least one; the text goes on behind them. */
static int take_words(const char **text, int width)
{
    const char *start = *text, *end = start + strcspn(start, " ");
    while (*end && end + 1 + strcspn(end + 1, " ") - start <= width)
        end += 1 + strcspn(end + 1, " ");
    *text = end + strspn(end, " ");
    return (int)(end - start);
}

static void print_line(const struct columns *c, const char *name, const char *cost,
                       const char *what)
{
    do {
        const char *cost_now = cost, *what_now = what;
        const int cost_length = take_words(&cost, c->cost);
        const int what_length = take_words(&what, c->what);
        printf("%-*s  %.*s", c->name, name, cost_length, cost_now);
        if (what_length)
            printf("%*s  %.*s", c->cost > cost_length ? c->cost - cost_length : 0, "", what_length,
                   what_now);
        putchar('\n');
        name = "";
    } while (*cost || *what);
}

static void print_long(const vitx_method_info *m)
{
    enum { FACT = 15 };
    const char *const facts[][2] = {
        {"cost", text_or(m->cost, "-")},
        {"reference", text_or(m->reference, "-")},
        {"target",
         m->uses_target ? "the map depends on the class" : "the map is the same for every class"},
        {"values", m->channels    ? "colours: several numbers per patch"
                   : m->is_signed ? "signed: above 0 speaks for the target, below against it"
                                  : "the larger, the more it matters"},
        {"map", m->on_pixels ? "on the pixels of the model's input" : "on the grid of patches"},
        {"texts", m->among ? "compared: --among names others that a text is told from" : NULL}};
    printf("%s\n", m->name);
    put_wrapped(text_or(m->summary, ""), 4, 0);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0] && facts[i][1]; i++)
        put_wrapped(facts[i][1], FACT, printf("    %-9s  ", facts[i][0]));
    for (int i = 0; i < m->option_count; i++) {
        const vitx_method_option *o = &m->options[i];
        printf("    --set %s=%s  (%s)\n", o->key, text_or(o->fallback, ""), text_or(o->values, ""));
        put_wrapped(text_or(o->help, ""), FACT, 0);
    }
}

static int list(bool json)
{
    const struct columns columns = measure();
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    if (!json)
        print_line(&columns, "name", "cost", "what");
    for (int i = 0; i < vitx_method_count(); i++) {
        if (vitx_method_get(&m, i) != VITX_OK) {
            complain_last(NULL);
            return SOME_FAILED;
        }
        if (json)
            print_json(&m);
        else
            print_line(&columns, m.name, text_or(m.cost, "-"), text_or(m.summary, ""));
    }
    return DONE;
}

static int run(const void *settings, char **names, int count)
{
    const struct settings *o = settings;
    vitx_method_info m;
    for (int i = 0; i < count; i++)
        if (method_find(&m, names[i]) != DONE)
            return WRONG_USAGE;
    if (count == 0)
        return list(o->json);
    for (int i = 0; i < count && method_find(&m, names[i]) == DONE; i++) {
        if (o->json)
            print_json(&m);
        else
            print_long(&m);
    }
    return DONE;
}

const struct command cmd_methods = {
    .name = "methods",
    .summary = "Lists the methods of explaining, or describes those that are named.",
    .usage = "[OPTIONS] [NAME...]",
    .details = "Without NAME: one line for each method, with its name, its cost and what it "
               "shows. With names: what the maps of these methods are, where the methods come "
               "from, and the options for --set: key=default, the values, what the option "
               "does.\n"
               "\n"
               "  vitx-cli methods rollout",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
