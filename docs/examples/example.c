/* example.c MODEL PICTURE OUT: prints the five best classes and writes why it is the first one.
 *
 *     cc -std=c11 example.c $(pkg-config --cflags --libs vitx) -o example
 *     ./example deit_tiny/ cat.jpg cat.overlay.png
 */
#include <stdio.h>
#include <vitx/vitx.h>

static int explain(vitx_context *context, const vitx_image *image, int target, const char *out)
{
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    opts.method = "rollout";
    opts.target = target;
    int status = vitx_explain(&map, context, image, &opts);
    if (status == VITX_OK)
        status = vitx_render(map, image, out, NULL);
    vitx_map_free(map);
    return status;
}

int main(int argc, char **argv)
{
    vitx_model *model = NULL;
    vitx_context *context = NULL;
    vitx_image *image = NULL;
    vitx_prediction top[5];
    if (argc != 4)
        return fprintf(stderr, "usage: %s MODEL PICTURE OUT\n", argv[0]), 2;
    int status = vitx_model_open(&model, argv[1], NULL);
    if (status == VITX_OK)
        status = vitx_context_create(&context, model, NULL);
    if (status == VITX_OK)
        status = vitx_image_open(&image, argv[2]);
    if (status == VITX_OK)
        status = vitx_classify(context, image, top, 5);
    for (int i = 0; status == VITX_OK && i < 5 && top[i].index >= 0; i++)
        printf("%.5f  %.4f  %d  %s\n", top[i].logit, top[i].probability, top[i].index,
               top[i].label ? top[i].label : "");
    if (status == VITX_OK)
        status = explain(context, image, top[0].index, argv[3]);
    if (status != VITX_OK)
        fprintf(stderr, "%s\n", vitx_last_error());
    vitx_image_free(image);
    vitx_context_free(context);
    vitx_model_free(model);
    return status == VITX_OK ? 0 : 1;
}
