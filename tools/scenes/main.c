/*
 * scenes/main.c: vitx-scenes, which draws pictures with exact masks.
 *
 *   vitx-scenes --seed 1 --count 10 --out folder      pictures, a mask per object, scenes.jsonl
 *   vitx-scenes --seed 1 --count 1000 --raw           frames on standard output, for training
 *   vitx-scenes --classes                             the classes: index, English, Chinese
 *   vitx-scenes --sentences                           all that can be said of scenes
 */
#include "png.h"
#include "sentence.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct settings {
    struct scene_opts opts;
    uint64_t seed, first, count;
    const char *out;
    bool raw, facts, classes, sentences;
};

static const char help[] =
    "vitx-scenes draws pictures of which every object is known to the pixel.\n"
    "\n"
    "usage: vitx-scenes [options] --out FOLDER | --raw | --classes | --sentences\n"
    "  --out FOLDER      write SEED-INDEX.png, a mask SEED-INDEX.K.png per object, and "
    "scenes.jsonl\n"
    "  --raw             write frames to standard output: [height,width,3] bytes of RGB, then "
    "[height,width]\n"
    "                    bytes: 0 background, 1 + class of the object that the pixel shows\n"
    "  --facts           with --raw: after every frame a byte for each fact, 0 false, 1 true, 2 "
    "neither\n"
    "  --sentences       print every way to say every fact: number of the fact, kind, number of "
    "the\n"
    "                    form, thing, other thing (classes), value, English, Chinese\n"
    "  --classes         print the classes: index, English, Chinese, separated by tabs\n"
    "  --seed N          1; the same seed gives the same bytes on every machine\n"
    "  --first N         0; the scene to begin with\n"
    "  --count N         10; how many\n"
    "  --size S or WxH   224; 32 to 2048 pixels\n"
    "  --objects A or A-B  1-3; objects in a picture, all of different classes\n"
    "  --smallest R      0.3; the longer side of an object by the shorter side of the picture, 0.1 "
    "to 1;\n"
    "  --largest R       0.75   two or three in a picture are drawn smaller\n";

static bool fail(const char *what, const char *text)
{
    fprintf(stderr, "vitx-scenes: %s%s%s\n", what, text ? ": " : "", text ? text : "");
    return false;
}

/* -------------------------------- arguments ------------------------------ */

static bool read_count(uint64_t *out, const char *text)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static bool read_ratio(double *out, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

/* "A" or "AxB", "A-B" */
static bool read_pair(int *a, int *b, const char *text, char between)
{
    char *end;
    long first = strtol(text, &end, 10), second = first;
    if (end == text)
        return false;
    if (*end == between) {
        const char *rest = end + 1;
        second = strtol(rest, &end, 10);
        if (end == rest)
            return false;
    }
    if (*end != '\0' || first < 0 || second < 0 || first > 1 << 20 || second > 1 << 20)
        return false;
    *a = (int)first;
    *b = (int)second;
    return true;
}

static bool read_option(struct settings *settings, const char *name, const char *value)
{
    struct scene_opts *opts = &settings->opts;
    if (strcmp(name, "--out") == 0)
        return (settings->out = value) != NULL;
    if (strcmp(name, "--seed") == 0)
        return read_count(&settings->seed, value);
    if (strcmp(name, "--first") == 0)
        return read_count(&settings->first, value);
    if (strcmp(name, "--count") == 0)
        return read_count(&settings->count, value);
    if (strcmp(name, "--size") == 0)
        return read_pair(&opts->width, &opts->height, value, 'x');
    if (strcmp(name, "--objects") == 0)
        return read_pair(&opts->least, &opts->most, value, '-');
    if (strcmp(name, "--smallest") == 0)
        return read_ratio(&opts->smallest, value);
    if (strcmp(name, "--largest") == 0)
        return read_ratio(&opts->largest, value);
    return false;
}

static bool read_arguments(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--raw") == 0)
            settings->raw = true;
        else if (strcmp(argv[i], "--facts") == 0)
            settings->facts = true;
        else if (strcmp(argv[i], "--classes") == 0)
            settings->classes = true;
        else if (strcmp(argv[i], "--sentences") == 0)
            settings->sentences = true;
        else if (i + 1 == argc || !read_option(settings, argv[i], argv[i + 1]))
            return fail("not understood (--help lists the options)", argv[i]);
        else
            i++;
    }
    if ((settings->out != NULL) + settings->raw + settings->classes + settings->sentences != 1)
        return fail("one of --out FOLDER, --raw, --classes and --sentences is needed", NULL);
    if (settings->facts && !settings->raw)
        return fail("--facts is for --raw", NULL);
    return true;
}

/* --------------------------------- output -------------------------------- */

static bool save_png(const char *path, int width, int height, int channels, const uint8_t *pixels)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return fail(path, strerror(errno));
    bool good = png_write(file, width, height, channels, pixels);
    good = fclose(file) == 0 && good;
    return good || fail("cannot write", path);
}

static bool save_mask(const struct scene *scene, int k, const char *path, uint8_t *buffer)
{
    size_t n = (size_t)scene->width * (size_t)scene->height;
    for (size_t i = 0; i < n; i++)
        buffer[i] = scene->owner[i] == k + 1 ? 255 : 0;
    return save_png(path, scene->width, scene->height, 1, buffer);
}

/* `colour`: of facts_colour(). */
static void print_object(FILE *lines, const struct scene_object *object, const char *mask,
                         int colour)
{
    fprintf(lines,
            "{\"class\":%d,\"label\":\"%s\",\"mask\":\"%s\",\"box\":[%d,%d,%d,%d],\"x\":%.2f,"
            "\"y\":%.2f,\"size\":%.2f,\"turn\":%.4f,\"pixels\":%d,\"visible\":%d",
            object->kind, scene_label(object->kind), mask, object->x0, object->y0, object->x1,
            object->y1, object->x, object->y, object->size, object->turn, object->whole,
            object->visible);
    if (colour >= 0)
        fprintf(lines, ",\"colour\":\"%s\"", colour_name(colour));
    fputs("}", lines);
}

static void print_texts(FILE *lines, const struct facts *facts, uint64_t seed, uint64_t index)
{
    struct sentence sentences[SENTENCES_MOST];
    int count = sentences_make(sentences, facts, seed, index);
    for (int i = 0; i < count; i++) {
        const struct sentence *sentence = &sentences[i];
        fprintf(lines, "%s{\"kind\":\"%s\",\"truth\":%s,\"en\":\"%s\",\"zh\":\"%s\",\"objects\":[",
                i ? "," : "", fact_kind_name(sentence->fact.kind),
                sentence->truth ? "true" : "false", sentence->text[LANGUAGE_EN],
                sentence->text[LANGUAGE_ZH]);
        for (int k = 0; k < sentence->about; k++)
            fprintf(lines, "%s%d", k ? "," : "", sentence->objects[k]);
        fputs("]}", lines);
    }
}

static bool save_scene(const struct settings *settings, const struct scene *scene, uint64_t index,
                       FILE *lines, uint8_t *buffer)
{
    char name[96], path[4096];
    snprintf(name, sizeof name, "%" PRIu64 "-%06" PRIu64, settings->seed, index);
    snprintf(path, sizeof path, "%s/%s.png", settings->out, name);
    if (!save_png(path, scene->width, scene->height, 3, scene->rgb))
        return false;
    fprintf(lines,
            "{\"image\":\"%s.png\",\"seed\":%" PRIu64 ",\"index\":%" PRIu64
            ",\"width\":%d,\"height\":%d,\"objects\":[",
            name, settings->seed, index, scene->width, scene->height);
    struct facts facts;
    facts_measure(&facts, scene);
    for (int k = 0; k < scene->count; k++) {
        const struct scene_object *object = &scene->objects[k];
        char mask[160];
        snprintf(mask, sizeof mask, "%s.%d.png", name, k + 1);
        snprintf(path, sizeof path, "%s/%s", settings->out, mask);
        if (!save_mask(scene, k, path, buffer))
            return false;
        fputs(k ? "," : "", lines);
        print_object(lines, object, mask, facts_colour(&facts, k));
    }
    fputs("],\"texts\":[", lines);
    print_texts(lines, &facts, settings->seed, index);
    fputs("]}\n", lines);
    return true;
}

static bool save_scenes(const struct settings *settings, struct scene *scene)
{
    char path[4096];
    if (strlen(settings->out) > 3800)
        return fail("the folder's name is too long", NULL);
    if (mkdir(settings->out, 0777) != 0 && errno != EEXIST)
        return fail(settings->out, strerror(errno));
    snprintf(path, sizeof path, "%s/scenes.jsonl", settings->out);
    FILE *lines = fopen(path, "w");
    uint8_t *buffer = malloc((size_t)scene->width * (size_t)scene->height);
    bool good = lines && buffer;
    if (!good)
        fail(path, strerror(errno));
    for (uint64_t i = 0; good && i < settings->count; i++) {
        scene_draw(scene, settings->seed, settings->first + i);
        good = save_scene(settings, scene, settings->first + i, lines, buffer);
    }
    free(buffer);
    bool written = lines && !ferror(lines);
    written = lines && fclose(lines) == 0 && written;
    return good && (written || fail("cannot write", path));
}

/* Turns owners into 1 + class. */
static void owners_to_classes(struct scene *scene)
{
    size_t n = (size_t)scene->width * (size_t)scene->height;
    for (size_t i = 0; i < n; i++)
        if (scene->owner[i])
            scene->owner[i] = (uint8_t)(1 + scene->objects[scene->owner[i] - 1].kind);
}

/* What is true of the scene, a byte for each fact. */
static bool stream_facts(const struct facts *facts)
{
    for (int i = 0; i < fact_total(); i++) {
        struct fact fact = fact_at(i);
        if (putchar(fact_judge(facts, &fact)) == EOF)
            return false;
    }
    return true;
}

static bool stream_scenes(const struct settings *settings, struct scene *scene)
{
    size_t n = (size_t)scene->width * (size_t)scene->height;
    for (uint64_t i = 0; i < settings->count; i++) {
        struct facts facts;
        scene_draw(scene, settings->seed, settings->first + i);
        if (settings->facts)
            facts_measure(&facts, scene);
        owners_to_classes(scene);
        if (fwrite(scene->rgb, 1, 3 * n, stdout) != 3 * n ||
            fwrite(scene->owner, 1, n, stdout) != n || (settings->facts && !stream_facts(&facts)))
            return fail("cannot write to standard output", strerror(errno));
    }
    return fflush(stdout) == 0 || fail("cannot write to standard output", strerror(errno));
}

static bool print_sentences(void)
{
    for (int i = 0; i < fact_total(); i++) {
        struct fact fact = fact_at(i);
        for (int form = 0; form < sentence_forms(fact.kind); form++) {
            char en[SENTENCE_BYTES], zh[SENTENCE_BYTES];
            sentence_write(en, &fact, form, LANGUAGE_EN);
            sentence_write(zh, &fact, form, LANGUAGE_ZH);
            printf("%d\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", i, fact_kind_name(fact.kind), form,
                   fact.thing, fact.other, fact.value, en, zh);
        }
    }
    return fflush(stdout) == 0;
}

static bool print_classes(void)
{
    for (int k = 0; k < scene_classes(); k++)
        printf("%d\t%s\t%s\n", k, scene_label(k), scene_label_zh(k));
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct settings settings = {.opts = scene_defaults, .seed = 1, .count = 10};
    /* A reader that went away is a failed write like a full disk: status 1, not death by signal. */
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(help, stdout) < 0;
    if (!read_arguments(&settings, argc, argv))
        return 2;
    if (settings.classes)
        return !print_classes();
    if (settings.sentences)
        return !print_sentences();
    struct scene *scene = scene_new(&settings.opts);
    if (!scene) {
        fail("no memory, or --size, --objects, --smallest or --largest outside what --help says",
             NULL);
        return 2;
    }
    bool good = settings.raw ? stream_scenes(&settings, scene) : save_scenes(&settings, scene);
    scene_free(scene);
    return good ? 0 : 1;
}
