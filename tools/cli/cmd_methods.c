/* cli/cmd_methods.c: every method with its options, defaults and cost. */
#include <stdio.h>

#include "session.h"

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
             "\"help\"}]}"},
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
    printf("]}\n");
}

static void print_text(const vitx_method_info *m)
{
    printf("%s: %s\n", m->name, text_or(m->summary, ""));
    printf("    cost       %s\n", text_or(m->cost, "-"));
    printf("    reference  %s\n", text_or(m->reference, "-"));
    printf("    target     %s\n",
           m->uses_target ? "the map depends on the class" : "the map is the same for every class");
    for (int i = 0; i < m->option_count; i++)
        printf("    --set %s=%s  %s (%s)\n", m->options[i].key, text_or(m->options[i].fallback, ""),
               text_or(m->options[i].help, ""), text_or(m->options[i].values, ""));
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    if (count)
        return wrong_usage("takes no files: %s", files[0]);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m;
        vitx_method_info_init(&m, sizeof m);
        if (vitx_method_get(&m, i) != VITX_OK) {
            complain_last(NULL);
            return SOME_FAILED;
        }
        if (o->json)
            print_json(&m);
        else
            print_text(&m);
    }
    return DONE;
}

const struct command cmd_methods = {
    .name = "methods",
    .summary = "Lists the methods of explaining, with options, defaults and cost.",
    .usage = "[OPTIONS]",
    .details =
        "What --set takes for a method stands below it: key=default, what it does, what it takes.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
