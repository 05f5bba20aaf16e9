/* example.c MODEL PICTURE OUT: prints the five best classes and writes why it is the first one.
 *
 *     cc -std=c11 example.c $(pkg-config --cflags --libs vitx) -o example
 *     ./example deit_tiny/ cat.jpg cat.overlay.png
 */
#include <stdio.h>
#include <vitx/vitx.h>

int main(int argc, char **argv)
{
    vitx_model *model = NULL;
    vitx_context *context = NULL;
    vitx_image *image = NULL;
    vitx_map *map = NULL;
    vitx_prediction top[5];
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    opts.method = "rollout"; /* of the top class, unless opts.target says another */
    if (argc != 4)
        return fprintf(stderr, "usage: %s MODEL PICTURE OUT\n", argv[0]), 2;

    /* VITX_OK is 0: the first call that fails ends the chain. */
    const int failed =
        vitx_model_open(&model, argv[1], NULL) || vitx_context_create(&context, model, NULL) ||
        vitx_image_open(&image, argv[2]) || vitx_classify(context, image, top, 5) ||
        vitx_explain(&map, context, image, &opts) || vitx_render(map, image, argv[3], NULL);
    if (failed)
        fprintf(stderr, "%s\n", vitx_last_error());
    for (int i = 0; !failed && i < 5 && top[i].index >= 0; i++)
        printf("%.5f  %.4f  %d  %s\n", top[i].logit, top[i].probability, top[i].index,
               top[i].label ? top[i].label : "");

    vitx_map_free(map);
    vitx_image_free(image);
    vitx_context_free(context);
    vitx_model_free(model);
    return failed;
}
