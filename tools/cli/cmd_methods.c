/* cli/cmd_methods.c: every method with its options, defaults and cost. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "methods.h"

struct settings {
    struct common common;
    bool json;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS};

static const struct option options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object a method, one a line",
     .more = "{\"name\",\"summary\",\"cost\",\"reference\",\"uses_target\",\"options\":[{\"key\","
             "\"default\",\"values\",\n"
             "\"help\"}],\"is_signed\",\"on_pixels\"}"},
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
    printf("],\"is_signed\":%s,\"on_pixels\":%s}\n", m->is_signed ? "true" : "false",
           m->on_pixels ? "true" : "false");
}

/* Columns of the list, as wide as what stands in them. */
struct columns {
    int name, cost, width;
};

static struct columns measure(void)
{
    struct columns c = {.name = (int)strlen("name"), .cost = (int)strlen("cost")};
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    for (int i = 0; i < vitx_method_count() && vitx_method_get(&m, i) == VITX_OK; i++) {
        const int name = (int)strlen(m.name), cost = (int)strlen(text_or(m.cost, ""));
        c.name = name > c.name ? name : c.name;
        c.cost = cost > c.cost ? cost : c.cost;
    }
    /* One line a method for programs; on a terminal long ones are wrapped within their column. */
    c.width = terminal_width(STDOUT_FILENO, INT_MAX);
    return c;
}

static void print_line(const struct columns *c, const char *name, const char *cost,
                       const char *what)
{
    const int before = printf("%-*s  %-*s  ", c->name, name, c->cost, cost);
    put_wrapped(what, before, before, c->width);
}

static void print_long(const vitx_method_info *m)
{
    enum { FACT = 15 };
    const char *const facts[][2] = {
        {"cost", text_or(m->cost, "-")},
        {"reference", text_or(m->reference, "-")},
        {"target",
         m->uses_target ? "the map depends on the class" : "the map is the same for every class"},
        {"values", m->is_signed ? "signed: above 0 speaks for the target, below against it"
                                : "the larger, the more it matters"},
        {"map", m->on_pixels ? "on the pixels of the model's input" : "on the grid of patches"}};
    printf("%s\n", m->name);
    put_wrapped(text_or(m->summary, ""), 4, 0, HELP_WIDTH);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        put_wrapped(facts[i][1], FACT, printf("    %-9s  ", facts[i][0]), HELP_WIDTH);
    for (int i = 0; i < m->option_count; i++) {
        const vitx_method_option *o = &m->options[i];
        printf("    --set %s=%s  (%s)\n", o->key, text_or(o->fallback, ""), text_or(o->values, ""));
        put_wrapped(text_or(o->help, ""), FACT, 0, HELP_WIDTH);
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
    .summary = "Lists the methods of explaining; says all about one.",
    .usage = "[OPTIONS] [NAME...]",
    .details = "Without NAME one line a method: its name, its cost, what it shows. With names all "
               "about these: what\n"
               "their maps are, where they come from, and what --set takes: key=default, the "
               "values, what it does.\n"
               "\n"
               "  vitx-cli methods rollout",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
