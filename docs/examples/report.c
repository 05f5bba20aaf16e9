/* report.c MODEL OUT PICTURE...: one page of all pictures, with two maps of each.
 *
 *     cc -std=c11 report.c $(pkg-config --cflags --libs vitx) -o report
 *     ./report deit_tiny/ pets.html cat.jpg dog.jpg
 */
#include <stdio.h>
#include <vitx/vitx.h>

enum { MAPS = 2 };

/* Maps first: attention gets the room that is left. */
static int add_picture(vitx_report *report, vitx_context *context, const char *path)
{
    static const char *const methods[MAPS] = {"generic", "rollout"};
    vitx_explain_opts opts[MAPS] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_map *maps[MAPS] = {NULL};
    vitx_image *image = NULL;
    for (int i = 0; i < MAPS; i++)
        opts[i].method = methods[i];
    int failed = vitx_image_open(&image, path) || vitx_report_add(report, image, path) ||
                 vitx_explain_many(maps, context, (const vitx_image *const *)&image, 1, opts, MAPS);
    for (int i = 0; i < MAPS; i++) {
        failed = failed || vitx_report_add_map(report, maps[i], NULL);
        vitx_map_free(maps[i]);
    }
    /* Runs the model once more: predictions, attention of all blocks, statistics. */
    failed = failed || vitx_report_run(report, context, image);
    vitx_image_free(image);
    return failed;
}

int main(int argc, char **argv)
{
    vitx_model *model = NULL;
    vitx_context *context = NULL;
    vitx_report *report = NULL;
    vitx_report_opts opts = VITX_REPORT_OPTS_INIT;
    vitx_report_info info = VITX_REPORT_INFO_INIT;
    if (argc < 4)
        return fprintf(stderr, "usage: %s MODEL OUT PICTURE...\n", argv[0]), 2;
    opts.title = "Cats and dogs";
    opts.pictures = argc - 3;  /* each gets its share of the budget */
    opts.budget = 8 * 1000000; /* bytes of the file */

    int failed = vitx_model_open(&model, argv[1], NULL) ||
                 vitx_context_create(&context, model, NULL) ||
                 vitx_report_create(&report, model, &opts);
    for (int i = 3; i < argc && !failed; i++)
        failed = add_picture(report, context, argv[i]);
    failed = failed || vitx_report_save(report, argv[2]) || vitx_report_get_info(&info, report);
    if (failed)
        fprintf(stderr, "%s\n", vitx_last_error());
    else
        printf("%s: %d pictures, %lld bytes, attention: %s\n", argv[2], info.pictures,
               (long long)info.bytes, vitx_report_level_name((int)info.level));

    vitx_report_free(report);
    vitx_context_free(context);
    vitx_model_free(model);
    return failed;
}
