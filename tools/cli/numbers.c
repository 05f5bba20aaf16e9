/* cli/numbers.c: see numbers.h. */
#include "numbers.h"

void put_predictions(struct text *out, const vitx_prediction *top, int k, bool probable)
{
    text_put(out, "\"predictions\":[");
    for (int i = 0; i < k && top[i].index >= 0; i++) {
        text_format(out, "%s{\"index\":%d,\"label\":", i ? "," : "", top[i].index);
        text_json(out, top[i].label);
        text_put(out, ",\"probability\":");
        if (probable)
            text_number(out, (double)top[i].probability);
        else
            text_put(out, "null");
        text_put(out, ",\"logit\":");
        text_number(out, (double)top[i].logit);
        text_put(out, "}");
    }
    text_put(out, "]");
}

void put_embedding(struct text *out, const float *values, int count)
{
    text_put(out, "\"embedding\":[");
    for (int i = 0; i < count; i++) {
        text_put(out, i ? "," : "");
        text_number(out, (double)values[i]);
    }
    text_put(out, "]");
}
