/* words.c MODEL PICTURE LABEL...: prints how well each label, a text, fits, and which words of the
 * best one say so.
 *
 *     cc -std=c11 words.c $(pkg-config --cflags --libs vitx) -o words
 *     ./words chinese-clip/ park.jpg 'a photo of a cat' 一张狗的照片
 */
#include <stdio.h>
#include <vitx/vitx.h>

/* Each word, and what it carried: above 0 it speaks for the match. */
static void print_words(const vitx_words *words)
{
    vitx_words_info info = VITX_WORDS_INFO_INIT;
    if (vitx_words_get_info(&info, words) != VITX_OK)
        return;
    for (int i = 0; i < info.count; i++) {
        const vitx_word *w = &info.words[i];
        printf("%+.5f  %.*s\n", w->relevance, (int)(w->end - w->start), info.text + w->start);
    }
}

int main(int argc, char **argv)
{
    enum { SHOWN = 5 };
    vitx_model *model = NULL;
    vitx_context *context = NULL;
    vitx_texts *texts = NULL;
    vitx_label_set *labels = NULL;
    vitx_image *image = NULL;
    vitx_words *words = NULL;
    vitx_prediction top[SHOWN];
    vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
    if (argc < 4)
        return fprintf(stderr, "usage: %s MODEL PICTURE LABEL...\n", argv[0]), 2;

    int failed =
        vitx_model_open(&model, argv[1], NULL) || vitx_context_create(&context, model, NULL) ||
        vitx_texts_create(&texts, model, NULL) ||
        vitx_label_set_create(&labels, texts, (const char *const *)argv + 3, argc - 3, NULL) ||
        vitx_image_open(&image, argv[2]) ||
        vitx_classify_texts(context, (const vitx_image *const[]){image}, 1, labels, top, SHOWN);
    for (int i = 0; !failed && i < SHOWN && top[i].index >= 0; i++)
        printf("%.5f  %.4f  %d  %s\n", top[i].logit, top[i].probability, top[i].index,
               top[i].label);
    opts.text = failed ? NULL : top[0].label;
    failed = failed || vitx_explain_words(&words, texts, context, image, &opts);
    if (failed)
        fprintf(stderr, "%s\n", vitx_last_error());
    else
        print_words(words);

    vitx_words_free(words);
    vitx_label_set_free(labels);
    vitx_texts_free(texts);
    vitx_image_free(image);
    vitx_context_free(context);
    vitx_model_free(model);
    return failed;
}
